"""Memories in SQL: the truth. Every write is one transaction with its history and its jobs.

Knows the rules of storing (versions, change numbers, erasure), not those of the lifecycle: which
step a state allows is decided before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from memos.errors import InvalidInput
from memos.protocols import Clock, Erasure, Indexed, Receipt, Replacement
from memos.storage.audit import AuditTrail
from memos.storage.bulk import by_ids
from memos.storage.derived.leftovers import after_change, after_forgetting
from memos.storage.engine import Database
from memos.storage.events import EventLog
from memos.storage.feed import take_numbers
from memos.storage.graph.upkeep import GraphUpkeep
from memos.storage.jobs.queue import SqlJobQueue
from memos.storage.memories.erasing import Eraser
from memos.storage.memories.preceding import preceding
from memos.storage.memories.rows import (
    check_version,
    insert_rows,
    memory_missing,
    present,
    reindex,
    update_rows,
)
from memos.storage.receipts import put_receipt
from memos.storage.records import (
    checked,
    memory_of,
    micros,
    version_of,
    version_row,
)
from memos.storage.tables import memory, memory_version
from memos.types import LIVE, Kind, Memory, MemoryVersion, NewEvent, NewJob, State

_insert_version = insert(memory_version)


class SqlMemoryStore:
    """`memos.protocols.MemoryStore`."""

    def __init__(
        self,
        database: Database,
        *,
        jobs: SqlJobQueue,
        audit: AuditTrail,
        events: EventLog,
        graph: GraphUpkeep,
        clock: Clock,
    ) -> None:
        self._db = database
        self._jobs = jobs
        self._events = events
        self._graph = graph
        self._clock = clock
        self._eraser = Eraser(jobs, audit, events, graph, clock)

    def insert(
        self,
        cube_id: str,
        memories: Sequence[Memory],
        indexed: Sequence[Indexed],
        *,
        jobs: Sequence[NewJob] = (),
        receipt: tuple[str, str, Receipt] | None = None,
    ) -> tuple[tuple[Memory, ...], tuple[str, ...]]:
        if len(memories) != len(indexed):
            raise InvalidInput(f"{len(memories)} memories came with {len(indexed)} indexed forms")
        with self._db.write() as connection:
            last, _ = take_numbers(connection, cube_id, len(memories))
            first = last - len(memories) + 1
            stored = tuple(
                dataclasses.replace(item, cube_id=cube_id, version=1, position=position)
                for position, item in enumerate(memories, first)
            )
            job_ids = self._jobs.add(connection, jobs)
            if receipt is not None:
                tenant_id, key, content = receipt
                ids = {"memories": [item.id for item in stored], "jobs": list(job_ids)}
                put_receipt(
                    connection,
                    tenant_id,
                    key,
                    Receipt(content.request_hash, {**content.result, **ids}),
                    at=micros(self._clock()),
                )
            if stored:
                insert_rows(connection, stored, indexed)
        self._db.grown(len(stored))
        return stored, job_ids

    def replace(
        self,
        memory: Memory,
        *,
        expected_version: int,
        operation: str,
        actor: str | None,
        reason: str | None,
        indexed: Indexed | None,
        jobs: Sequence[NewJob] = (),
        events: Sequence[NewEvent] = (),
    ) -> Memory:
        change = Replacement(
            memory=memory,
            expected_version=expected_version,
            operation=operation,
            actor=actor,
            reason=reason,
            indexed=indexed,
        )
        return self.replace_all(memory.cube_id, [change], jobs=jobs, events=events)[0]

    def replace_all(
        self,
        cube_id: str,
        replacements: Sequence[Replacement],
        *,
        jobs: Sequence[NewJob] = (),
        events: Sequence[NewEvent] = (),
    ) -> tuple[Memory, ...]:
        with self._db.write() as connection:
            last, tenant_id = take_numbers(connection, cube_id, len(replacements))
            stored = []
            files: list[NewJob] = []
            for seq, change in enumerate(replacements, last - len(replacements) + 1):
                former, now = self._replace(connection, cube_id, change, seq)
                stored.append(now)
                if now.state in LIVE:
                    files += after_change(connection, tenant_id, former, now)
                else:
                    files += after_forgetting(connection, tenant_id, cube_id, now.id)
            self._jobs.add(connection, [*jobs, *files])
            self._events.record(connection, tenant_id, events)
        return tuple(stored)

    def _replace(
        self, connection: Connection, cube_id: str, change: Replacement, seq: int
    ) -> tuple[Memory, Memory]:
        """One of them, as it was and as it is, in the caller's transaction, which holds the cube's
        lock."""
        memory, expected = change.memory, change.expected_version
        former = present(connection, cube_id, memory.id)
        check_version(former, expected)
        stored = dataclasses.replace(
            memory,
            cube_id=cube_id,
            version=expected + 1,
            position=former.position,
            created_at=former.created_at,
        )
        update_rows(connection, stored, seq)
        entry = version_row(
            stored,
            operation=change.operation,
            changed_at=stored.updated_at,
            actor=change.actor,
            reason=change.reason,
        )
        connection.execute(_insert_version, checked(entry))
        reindex(connection, stored, change.indexed)
        self._graph.changed(connection, former, stored)
        return former, stored

    def erase(
        self,
        cube_id: str,
        memory_id: str,
        *,
        actor: str | None,
        reason: str | None,
        expected_version: int | None = None,
        jobs: Sequence[NewJob] = (),
        events: Sequence[NewEvent] = (),
    ) -> Erasure:
        with self._db.erasing() as connection:
            return self._eraser.erase(
                connection,
                cube_id,
                memory_id,
                actor=actor,
                reason=reason,
                expected_version=expected_version,
                jobs=jobs,
                events=events,
            )

    def get(self, cube_id: str, ids: Sequence[str]) -> dict[str, Memory]:
        with self._db.read() as connection:
            rows = by_ids(connection, memory, cube_id, ids)
        return {row[1]: memory_of(row) for row in rows}

    def page(
        self,
        cube_id: str,
        *,
        after: int = 0,
        limit: int,
        states: Sequence[State] = LIVE,
        kinds: Sequence[Kind] = (),
        user_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
    ) -> list[Memory]:
        query = select(memory).where(memory.c.cube_id == cube_id, memory.c.position > after)
        if states:
            query = query.where(memory.c.state.in_([state.value for state in states]))
        if kinds:
            query = query.where(memory.c.kind.in_([kind.value for kind in kinds]))
        scope = {"user_id": user_id, "agent_id": agent_id, "session_id": session_id}
        for name, value in scope.items():
            if value is not None:
                query = query.where(memory.c[name] == value)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(memory.c.position).limit(limit))
            return [memory_of(row) for row in rows]

    def preceding(self, turns: Sequence[Memory], *, limit: int) -> list[list[Memory]]:
        with self._db.read() as connection:
            return preceding(connection, turns, limit)

    def history(self, cube_id: str, memory_id: str) -> tuple[MemoryVersion, ...]:
        columns = memory_version.c
        query = (
            select(memory_version)
            .where(columns.cube_id == cube_id, columns.memory_id == memory_id)
            .order_by(columns.version)
        )
        with self._db.read() as connection:
            versions = tuple(version_of(row) for row in connection.execute(query))
        if not versions:
            raise memory_missing(cube_id, memory_id)
        return versions
