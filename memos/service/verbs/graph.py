"""The verbs of the graph: entities, ways, rulings, and the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from memos.service.verbs.base import Verbs
from memos.service.viewpoint import in_utc
from memos.types import (
    Entity,
    EntityType,
    Fact,
    GraphDiff,
    Neighbour,
    Page,
    Path,
    PredicateType,
    Ruling,
    Vocabulary,
)


class GraphVerbs(Verbs):
    """What can be asked of the graph, and told to it.

    `entity` is everywhere an id, a name or an alias: EntityNotFound if there is none such,
    InvalidInput with their ids if there are several. Each read can look from another time: with
    `as_of` at what was true then, with `known_as_of` at what was believed then.
    """

    # Entities

    def entities(
        self,
        *,
        text: str | None = None,
        type: str | None = None,
        cube: str = "default",
        known_as_of: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Entity]:
        """A page of the entities that stand for themselves; `text` is part of a name or alias."""
        return self._service.graph.entities(
            self._cube(cube),
            text=text,
            type=type,
            known_as_of=self._view(known_as_of=known_as_of).known_as_of,
            cursor=cursor,
            limit=limit,
        )

    def entity(
        self, entity: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> Entity:
        """The entity of this id, name or alias."""
        known = self._view(known_as_of=known_as_of).known_as_of
        return self._service.graph.entity(self._cube(cube), entity, known_as_of=known)

    def timeline(
        self,
        entity: str,
        *,
        predicate: str | None = None,
        cube: str = "default",
        known_as_of: datetime | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 200,
    ) -> tuple[Fact, ...]:
        """The facts of an entity, past ones too, by when they became true."""
        with self._service.foreground.request():
            return self._service.graph.timeline(
                self._cube(cube),
                entity,
                predicate=predicate,
                known_as_of=self._view(known_as_of=known_as_of).known_as_of,
                since=in_utc("since", since),
                until=in_utc("until", until),
                limit=limit,
            )

    def neighbours(
        self,
        entity: str,
        *,
        hops: int = 1,
        cube: str = "default",
        as_of: datetime | None = None,
        known_as_of: datetime | None = None,
        limit: int = 50,
    ) -> tuple[Neighbour, ...]:
        """The entities within `hops` facts, nearest first, each with the facts that lead to it."""
        view = self._view(as_of=as_of, known_as_of=known_as_of)
        with self._service.foreground.request():
            return self._service.graph.neighbours(
                self._cube(cube), entity, hops=hops, limit=limit, **view.times()
            )

    def paths(
        self,
        source: str,
        target: str,
        *,
        max_hops: int = 4,
        cube: str = "default",
        as_of: datetime | None = None,
        known_as_of: datetime | None = None,
        limit: int = 5,
    ) -> tuple[Path, ...]:
        """How two entities are connected, each step with the memories that say it."""
        view = self._view(as_of=as_of, known_as_of=known_as_of)
        with self._service.foreground.request():
            return self._service.graph.paths(
                self._cube(cube), source, target, max_hops=max_hops, limit=limit, **view.times()
            )

    def merge_entities(
        self, source: str, into: str, *, cube: str = "default", reason: str | None = None
    ) -> Ruling:
        """Says that two entities are one; `revoke` parts them again."""
        return self._service.graph.merge_entities(
            self._cube(cube), source, into, reason=reason, actor=self._actor
        )

    def split_entity(
        self,
        entity: str,
        *,
        name: str,
        type: str | None = None,
        facts: Sequence[str] = (),
        memories: Sequence[str] = (),
        cube: str = "default",
        reason: str | None = None,
    ) -> Ruling:
        """Says that an entity is two: the facts and memories named, by id, move to a new one."""
        return self._service.graph.split_entity(
            self._cube(cube),
            entity,
            name=name,
            type=type,
            facts=facts,
            memories=memories,
            reason=reason,
            actor=self._actor,
        )

    # The whole

    def keep_open(
        self, fact_id: str, *, cube: str = "default", reason: str | None = None
    ) -> Ruling:
        """Undoes the closing of a fact; what closed it stays true beside it."""
        return self._service.graph.keep_open(
            self._cube(cube), fact_id, reason=reason, actor=self._actor
        )

    def rulings(self, *, cube: str = "default") -> tuple[Ruling, ...]:
        """What people ruled, oldest first, revoked rulings included."""
        return self._service.graph.rulings(self._cube(cube))

    def revoke(self, ruling_id: str, *, cube: str = "default") -> Ruling:
        """Undoes a ruling. StateConflict if it was revoked already."""
        return self._service.graph.revoke(self._cube(cube), ruling_id)

    def diff(
        self,
        since: datetime,
        until: datetime,
        *,
        cube: str = "default",
        axis: Literal["known", "valid"] = "known",
    ) -> GraphDiff:
        """How the facts differ between two times: what was believed (`known`) or true (`valid`)."""
        return self._service.graph.diff(self._cube(cube), since, until, axis=axis)

    def vocabulary(self, *, cube: str = "default") -> Vocabulary:
        """The predicates and entity types, built-in ones included."""
        return self._service.graph.vocabulary(self._cube(cube))

    def define_predicate(
        self,
        name: str,
        *,
        functional: bool = False,
        event: bool = False,
        inverse: str | None = None,
        subject_types: Sequence[str] = (),
        object_types: Sequence[str] = (),
        description: str = "",
        cube: str = "default",
    ) -> PredicateType:
        """Defines what a predicate means for time; its facts follow anew from the assertions."""
        return self._service.graph.define_predicate(
            self._cube(cube),
            name,
            functional=functional,
            event=event,
            inverse=inverse,
            subject_types=subject_types,
            object_types=object_types,
            description=description,
        )

    def define_type(
        self,
        name: str,
        *,
        description: str = "",
        parent: str | None = None,
        cube: str = "default",
    ) -> EntityType:
        """Defines a kind of entity."""
        return self._service.graph.define_type(
            self._cube(cube), name, description=description, parent=parent
        )
