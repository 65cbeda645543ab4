"""The verbs of the graph, for the sync client.

Knows what they send by `memos.client.requests.graph`; how it is sent is the client's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from memos.client.requests import graph as requests
from memos.client.sync.base import Verbs
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
    """What a client can ask of the graph. `entity` is everywhere an id, a name or an alias; every
    time is aware."""

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
        return self._send(
            requests.entities(
                text=text,
                type=type,
                cube=cube,
                known_as_of=known_as_of,
                cursor=cursor,
                limit=limit,
            )
        )

    def entity(
        self, entity: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> Entity:
        """EntityNotFound if none goes by that; InvalidInput with their ids if several do."""
        return self._send(requests.entity(entity, cube=cube, known_as_of=known_as_of))

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
        return self._send(
            requests.timeline(
                entity,
                predicate=predicate,
                cube=cube,
                known_as_of=known_as_of,
                since=since,
                until=until,
                limit=limit,
            )
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
        return self._send(
            requests.neighbours(
                entity,
                hops=hops,
                cube=cube,
                as_of=as_of,
                known_as_of=known_as_of,
                limit=limit,
            )
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
        return self._send(
            requests.paths(
                source,
                target,
                max_hops=max_hops,
                cube=cube,
                as_of=as_of,
                known_as_of=known_as_of,
                limit=limit,
            )
        )

    def merge_entities(
        self, source: str, into: str, *, cube: str = "default", reason: str | None = None
    ) -> Ruling:
        """Says that two entities are one; `revoke` parts them again."""
        return self._send(
            requests.merge_entities(
                source, into, cube=cube, reason=reason, idempotency_key=self._key()
            )
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
        return self._send(
            requests.split_entity(
                entity,
                name=name,
                type=type,
                facts=facts,
                memories=memories,
                cube=cube,
                reason=reason,
                idempotency_key=self._key(),
            )
        )

    # The whole

    def keep_open(
        self, fact_id: str, *, cube: str = "default", reason: str | None = None
    ) -> Ruling:
        """Undoes the closing of a fact; what closed it stays true beside it."""
        return self._send(
            requests.keep_open(fact_id, cube=cube, reason=reason, idempotency_key=self._key())
        )

    def rulings(self, *, cube: str = "default") -> tuple[Ruling, ...]:
        """What people ruled, oldest first, revoked rulings included."""
        return self._send(requests.rulings(cube=cube))

    def revoke(self, ruling_id: str, *, cube: str = "default") -> Ruling:
        """Undoes a ruling. StateConflict if it was revoked already."""
        return self._send(requests.revoke(ruling_id, cube=cube, idempotency_key=self._key()))

    def diff(
        self,
        since: datetime,
        until: datetime,
        *,
        cube: str = "default",
        axis: Literal["known", "valid"] = "known",
    ) -> GraphDiff:
        """How the facts differ between two times: what was believed (`known`) or true (`valid`)."""
        return self._send(requests.diff(since, until, cube=cube, axis=axis))

    def vocabulary(self, *, cube: str = "default") -> Vocabulary:
        """The predicates and entity types, built-in ones included."""
        return self._send(requests.vocabulary(cube=cube))

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
        return self._send(
            requests.define_predicate(
                name,
                cube=cube,
                functional=functional,
                event=event,
                inverse=inverse,
                subject_types=list(subject_types),
                object_types=list(object_types),
                description=description,
                idempotency_key=self._key(),
            )
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
        return self._send(
            requests.define_type(
                name,
                cube=cube,
                description=description,
                parent=parent,
                idempotency_key=self._key(),
            )
        )
