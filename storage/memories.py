"""Memories in SQL: the truth. Every write is one transaction with its history and its jobs.

Knows the rules of storing (versions, change numbers, erasure), not those of the lifecycle: which
step a state allows is decided before.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, text, update

from memos.errors import AlreadyExists, InvalidInput, MemoryNotFound, VersionConflict
from memos.protocols import Clock, Erasure, Indexed, Receipt, Replacement
from memos.storage.audit import AuditTrail
from memos.storage.bulk import by_ids, load
from memos.storage.engine import Database
from memos.storage.errors import taken
from memos.storage.events import EventLog
from memos.storage.feed import take_numbers
from memos.storage.graph.upkeep import GraphUpkeep
from memos.storage.jobs import SqlJobQueue
from memos.storage.keeping import lineage
from memos.storage.leftovers import after_forgetting
from memos.storage.receipts import put_receipt
from memos.storage.records import (
    checked,
    indexed_row,
    memory_of,
    memory_row,
    micros,
    version_of,
    version_row,
)
from memos.storage.tables import indexed, link, memory, memory_version, removed_link
from memos.types import LIVE, Kind, Memory, MemoryVersion, NewEvent, NewJob, Provenance, State

_insert_version = insert(memory_version)
_insert_indexed = insert(indexed)

_LIVE = ", ".join(f"'{state.value}'" for state in LIVE)
# Of each key (number, session, user, position) the memories before that position.
_BEFORE = (
    "cube_id = :cube AND session_id = {session} AND user_id {same} {user} AND position < {position}"
    f" AND state IN ({_LIVE}) ORDER BY position DESC LIMIT :limit"
)
_PRECEDING = {
    "sqlite": text(
        "SELECT json_extract(w.value, '$[0]'), memory.* FROM json_each(:keys) AS w"
        " CROSS JOIN memory WHERE memory.cube_id = :cube AND memory.position IN"
        " (SELECT position FROM memory WHERE "
        + _BEFORE.format(
            session="json_extract(w.value, '$[1]')",
            same="IS",
            user="json_extract(w.value, '$[2]')",
            position="json_extract(w.value, '$[3]')",
        )
        + ")"
    ),
    "postgresql": text(
        "SELECT CAST(w.key ->> 0 AS integer), memory.*"
        " FROM json_array_elements(CAST(:keys AS json)) AS w(key) CROSS JOIN LATERAL"
        " (SELECT * FROM memory WHERE "
        + _BEFORE.format(
            session="w.key ->> 1",
            same="IS NOT DISTINCT FROM",
            user="w.key ->> 2",
            position="CAST(w.key ->> 3 AS bigint)",
        )
        + ") AS memory"
    ),
}


def memory_missing(cube_id: str, memory_id: str) -> MemoryNotFound:
    return MemoryNotFound(
        f"there is no memory {memory_id!r} in this cube", memory_id=memory_id, cube=cube_id
    )


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
        self._audit = audit
        self._events = events
        self._graph = graph
        self._clock = clock

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
                _insert(connection, stored, indexed)
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
                stored.append(self._replace(connection, cube_id, change, seq))
                if stored[-1].state not in LIVE:
                    files += after_forgetting(connection, tenant_id, cube_id, stored[-1].id)
            self._jobs.add(connection, [*jobs, *files])
            self._events.record(connection, tenant_id, events)
        return tuple(stored)

    def _replace(
        self, connection: Connection, cube_id: str, change: Replacement, seq: int
    ) -> Memory:
        """One of them, in the caller's transaction, which holds the cube's lock."""
        memory, expected = change.memory, change.expected_version
        present = _present(connection, cube_id, memory.id)
        if present.version != expected:
            raise VersionConflict(
                f"memory {memory.id} is at version {present.version}, not {expected};"
                " read it again and repeat the change",
                expected=expected,
                actual=present.version,
            )
        stored = dataclasses.replace(
            memory,
            cube_id=cube_id,
            version=expected + 1,
            position=present.position,
            created_at=present.created_at,
        )
        _update(connection, stored, seq)
        entry = version_row(
            stored,
            operation=change.operation,
            changed_at=stored.updated_at,
            actor=change.actor,
            reason=change.reason,
        )
        connection.execute(_insert_version, checked(entry))
        _reindex(connection, stored, change.indexed)
        self._graph.changed(connection, present, stored)
        return stored

    def erase(
        self,
        cube_id: str,
        memory_id: str,
        *,
        actor: str | None,
        reason: str | None,
        jobs: Sequence[NewJob] = (),
        events: Sequence[NewEvent] = (),
    ) -> Erasure:
        removed: Counter[str] = Counter()
        files: list[str] = []
        with self._db.erasing() as connection:
            take_numbers(connection, cube_id, 0)
            present = _present(connection, cube_id, memory_id)
            if present.state is State.ERASED:
                return Erasure((memory_id,), {})
            ids = lineage.doomed(connection, cube_id, memory_id)
            seq, tenant_id = take_numbers(connection, cube_id, len(ids))
            found = {row[1]: memory_of(row) for row in by_ids(connection, memory, cube_id, ids)}
            going = [found[id] for id in ids]
            for number, present in enumerate(going, seq - len(ids) + 1):
                removed += self._erase_one(connection, tenant_id, present, number, actor, reason)
                gone = after_forgetting(connection, tenant_id, cube_id, present.id)
                files += self._jobs.add(connection, gone)
            # Together: what they said is mostly of the same facts.
            removed += Counter(self._graph.erased(connection, going))
            removed["lineage"] += lineage.erase(connection, cube_id, ids)
            self._jobs.add(connection, jobs)
            self._events.record(connection, tenant_id, events)
        return Erasure(tuple(ids), removed, tuple(files))

    def _erase_one(
        self,
        connection: Connection,
        tenant_id: str,
        present: Memory,
        seq: int,
        actor: str | None,
        reason: str | None,
    ) -> Counter[str]:
        """What was removed, by store; the graph's part is still to be."""
        cube_id, memory_id = present.cube_id, present.id
        now = self._clock()
        tombstone = dataclasses.replace(
            _blank(present), version=present.version + 1, updated_at=now
        )
        _update(connection, tombstone, seq)
        versions = memory_version.c
        former = connection.execute(
            update(memory_version)
            .where(versions.cube_id == cube_id, versions.memory_id == memory_id)
            # Reasons may quote the text.
            .values(snapshot=None, reason=None)
        )
        entry = version_row(
            tombstone, operation="erase", changed_at=now, actor=actor, reason=reason
        )
        connection.execute(_insert_version, checked({**entry, "snapshot": None}))
        forms = connection.execute(
            delete(indexed).where(indexed.c.cube_id == cube_id, indexed.c.memory_id == memory_id)
        )
        links = 0
        for table in (link, removed_link):
            links += connection.execute(
                delete(table).where(
                    table.c.cube_id == cube_id,
                    or_(table.c.source_id == memory_id, table.c.target_id == memory_id),
                )
            ).rowcount
        self._jobs.erase(connection, cube_id, memory_id)
        self._events.erase(connection, tenant_id, memory_id)
        self._audit.record(
            connection,
            tenant_id=tenant_id,
            actor=actor,
            action="memory.erase",
            target=memory_id,
            detail={"cube": cube_id, "versions": tombstone.version},
        )
        return Counter(
            texts=1,
            versions=former.rowcount,
            embeddings=forms.rowcount,
            terms=forms.rowcount,
            links=links,
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
        found: list[list[Memory]] = [[] for _ in turns]
        keys = [
            (number, turn.session_id, turn.user_id, turn.position)
            for number, turn in enumerate(turns)
            if turn.session_id is not None
        ]
        if keys:
            asked = {
                "cube": turns[0].cube_id,
                "keys": json.dumps(keys),
                "limit": limit,
            }
            with self._db.read() as connection:
                query = _PRECEDING[connection.dialect.name]
                for number, *row in connection.execute(query, asked):
                    found[number].append(memory_of(row))
        return [sorted(of, key=lambda one: one.position) for of in found]

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


def _insert(connection: Connection, stored: Sequence[Memory], forms: Sequence[Indexed]) -> None:
    rows = [
        memory_row(item, seq=item.position, position=item.position, version=1).values()
        for item in stored
    ]
    versions = [
        checked(
            version_row(
                item,
                operation="add",
                changed_at=item.created_at,
                actor=item.provenance.actor,
                reason=None,
            )
        ).values()
        for item in stored
    ]
    with taken(lambda: _id_taken(stored)):
        load(connection, memory, rows)
    load(connection, memory_version, versions)
    load(
        connection,
        indexed,
        [
            indexed_row(item.cube_id, item.id, 1, form).values()
            for item, form in zip(stored, forms, strict=True)
        ],
    )


def _id_taken(stored: Sequence[Memory]) -> AlreadyExists:
    ids = [item.id for item in stored]
    return AlreadyExists(
        f"one of these {len(ids)} ids is already in the cube, or twice in the batch: {ids[0]} …"
        if len(ids) > 1
        else f"memory {ids[0]} is already in the cube",
    )


def _present(connection: Connection, cube_id: str, memory_id: str) -> Memory:
    """The memory as it is; the cube's row lock, held by the caller, keeps it so."""
    rows = by_ids(connection, memory, cube_id, [memory_id])
    if not rows:
        raise memory_missing(cube_id, memory_id)
    return memory_of(rows[0])


def _update(connection: Connection, stored: Memory, seq: int) -> None:
    row: dict[str, Any] = memory_row(
        stored, seq=seq, position=stored.position, version=stored.version
    )
    connection.execute(
        update(memory).where(memory.c.cube_id == stored.cube_id, memory.c.id == stored.id),
        row,
    )


def _reindex(connection: Connection, stored: Memory, form: Indexed | None) -> None:
    mine = (indexed.c.cube_id == stored.cube_id, indexed.c.memory_id == stored.id)
    if form is None:
        # Only a form of the version just replaced is still right.
        connection.execute(
            update(indexed)
            .where(*mine, indexed.c.version == stored.version - 1)
            .values(version=stored.version)
        )
        return
    connection.execute(delete(indexed).where(*mine))
    connection.execute(
        _insert_indexed, indexed_row(stored.cube_id, stored.id, stored.version, form)
    )


def _blank(present: Memory) -> Memory:
    """What stays of an erased memory: that it was there, and when."""
    return dataclasses.replace(
        present,
        content="",
        state=State.ERASED,
        user_id=None,
        agent_id=None,
        session_id=None,
        speaker=None,
        occurred_at=None,
        place=None,
        images=(),
        metadata={},
        expires_at=None,
        provenance=Provenance(source=present.provenance.source),
    )
