"""The verbs of facts: found, explained, given, read out of memories."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from memos.service.verbs.base import Verbs
from memos.service.viewpoint import in_utc
from memos.types import AddedFacts, Cube, Fact, FactExplanation, FactQuery, Job, NewFact, Page


class FactVerbs(Verbs):
    """What can be asked of facts, and told.

    An entity is named by an id, a name or an alias: EntityNotFound if there is none such,
    InvalidInput with their ids if there are several. Each read can look from another time: with
    `as_of` at what was true then, with `known_as_of` at what was believed then.
    """

    def facts(
        self,
        *,
        subject: str | None = None,
        predicate: str | None = None,
        object: str | None = None,
        cube: str = "default",
        as_of: datetime | None = None,
        known_as_of: datetime | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        min_confidence: float = 0.0,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Fact]:
        """A page of the facts that fit a triple with `?` for what is None: with `as_of` those true
        then, else whenever; with `known_as_of` as they were believed then; with `since` and `until`
        those true at some time between."""
        view = self._view(as_of=as_of, known_as_of=known_as_of)
        wanted = FactQuery(
            subject=subject,
            predicate=predicate,
            object=object,
            as_of=view.as_of,
            known_as_of=view.known_as_of,
            since=in_utc("since", since),
            until=in_utc("until", until),
            min_confidence=min_confidence,
        )
        with self._service.foreground.request():
            return self._service.graph.facts(self._cube(cube), wanted, cursor=cursor, limit=limit)

    def fact(self, id: str, *, cube: str = "default", known_as_of: datetime | None = None) -> Fact:
        """FactNotFound if there is none such, or it was not believed then."""
        known = self._view(known_as_of=known_as_of).known_as_of
        return self._service.graph.fact(self._cube(cube), id, known_as_of=known)

    def why(
        self, fact_id: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> FactExplanation:
        """What asserts a fact, what closed it by which rule, and all that was believed about it."""
        known = self._view(known_as_of=known_as_of).known_as_of
        return self._service.graph.why(self._cube(cube), fact_id, known_as_of=known)

    def add_facts(
        self,
        facts: Sequence[NewFact | Mapping[str, Any]],
        *,
        cube: str = "default",
        session_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> AddedFacts:
        """Adds facts, all or none: NewFact, or objects with its fields. Each comes with a memory
        that says it; forgetting that memory forgets the fact."""
        return self._added(
            cube,
            lambda target: self._service.graph.add_facts(
                target,
                facts,
                session_id=session_id,
                idempotency_key=idempotency_key,
                actor=self._actor,
            ),
        )

    def add_records(
        self,
        records: Sequence[Mapping[str, Any]],
        *,
        name_field: str,
        type: str = "thing",
        time_field: str | None = None,
        cube: str = "default",
        session_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> AddedFacts:
        """Adds JSON records as facts, all or none: `name_field` names the subject, an entity of
        `type`; every other field is a predicate, true since what `time_field` holds."""
        return self._added(
            cube,
            lambda target: self._service.graph.add_records(
                target,
                records,
                name_field=name_field,
                type=type,
                time_field=time_field,
                session_id=session_id,
                idempotency_key=idempotency_key,
                actor=self._actor,
            ),
        )

    def extract(self, *, cube: str = "default", again: bool = False) -> Job:
        """Queues the reading of facts out of what has not been read; `again`: out of everything."""
        return self._queued(self._service.enriching.extract(self._cube(cube), again=again))

    def _added(self, cube: str, add: Callable[[Cube], AddedFacts]) -> AddedFacts:
        """Facts that were given need no reading, but their memories get notes and summaries."""
        target = self._cube(cube)
        with self._service.foreground.request():
            added = add(target)
        self._service.enrich(target, added.memory_ids)
        return added
