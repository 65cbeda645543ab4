"""The verbs of facts: found, explained, given, read out of memories, for the async client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from memos.client.asynchronous.base import AsyncVerbs
from memos.client.requests import facts as requests
from memos.types import AddedFacts, Fact, FactExplanation, FactQuery, Job, NewFact, Page


class AsyncFactVerbs(AsyncVerbs):
    """What a client can ask of facts, and tell. An entity is named by an id, a name or an alias;
    every time is aware."""

    async def facts(
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
        then, else whenever; with `known_as_of` as they were believed then."""
        wanted = FactQuery(
            subject=subject,
            predicate=predicate,
            object=object,
            as_of=as_of,
            known_as_of=known_as_of,
            since=since,
            until=until,
            min_confidence=min_confidence,
        )
        return await self._send(requests.facts(wanted, cube=cube, cursor=cursor, limit=limit))

    async def fact(
        self, id: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> Fact:
        """FactNotFound if there is none such, or it was not believed then."""
        return await self._send(requests.fact(id, cube=cube, known_as_of=known_as_of))

    async def why(
        self, fact_id: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> FactExplanation:
        """What asserts a fact, what closed it by which rule, and all that was believed about it."""
        return await self._send(requests.why(fact_id, cube=cube, known_as_of=known_as_of))

    async def add_facts(
        self,
        facts: Sequence[NewFact | Mapping[str, Any]],
        *,
        cube: str = "default",
        session_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> AddedFacts:
        """Adds facts, all or none: NewFact, or objects with its fields. Each comes with a memory
        that says it; forgetting that memory forgets the fact."""
        return await self._send(
            requests.add_facts(
                facts,
                cube=cube,
                session_id=session_id,
                idempotency_key=self._key(idempotency_key),
            )
        )

    async def add_records(
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
        return await self._send(
            requests.add_records(
                records,
                cube=cube,
                name_field=name_field,
                type=type,
                time_field=time_field,
                session_id=session_id,
                idempotency_key=self._key(idempotency_key),
            )
        )

    async def extract(self, *, cube: str = "default", again: bool = False) -> Job:
        """Queues the reading of facts out of what has not been read; `again`: out of everything."""
        return await self._send(
            requests.extract(cube=cube, again=again, idempotency_key=self._key())
        )
