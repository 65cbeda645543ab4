"""Deeds over memories in SQL: done in one transaction, and recorded in events that say how to undo
them.

Knows states, versions and lineage; what is worth doing is decided elsewhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, text, update

from memos.protocols import Clock, Deed, Indexed, Use
from memos.storage.bulk import by_ids, change, load, matching
from memos.storage.derived.leftovers import after_forgetting
from memos.storage.engine import Database
from memos.storage.events import EventLog
from memos.storage.feed import take_numbers
from memos.storage.graph.upkeep import GraphUpkeep
from memos.storage.jobs.queue import SqlJobQueue
from memos.storage.keeping import deeds as deeds_of
from memos.storage.keeping import lineage
from memos.storage.keeping.reads import KeepingReads
from memos.storage.keeping.records import policy_of, policy_text, use_of
from memos.storage.memories.rows import memory_missing
from memos.storage.records import (
    checked,
    indexed_row,
    memory_row,
    micros,
    small_vector,
    version_row,
)
from memos.storage.tables import artifact_source, indexed, memory, memory_use, memory_version
from memos.storage.tables import policy as policy_table
from memos.types import (
    LIVE,
    Lineage,
    Memory,
    NewJob,
    Policy,
    State,
)

_set_vector = (
    update(indexed)
    .where(indexed.c.cube_id == bindparam("cube"), indexed.c.memory_id == bindparam("id"))
    .values(vector=bindparam("small"))
)
_use = text(
    "INSERT INTO memory_use (cube_id, memory_id, uses, last_used_at, pinned)"
    " SELECT :cube, :id, :count, :at, 0"
    " WHERE EXISTS (SELECT 1 FROM memory WHERE cube_id = :cube AND id = :id)"
    " ON CONFLICT (cube_id, memory_id) DO UPDATE SET uses = memory_use.uses + :count,"
    " last_used_at = CASE WHEN memory_use.last_used_at > :at THEN memory_use.last_used_at"
    " ELSE :at END"
)
_pin = text(
    "INSERT INTO memory_use (cube_id, memory_id, uses, last_used_at, pinned)"
    " VALUES (:cube, :id, 0, NULL, :pinned)"
    " ON CONFLICT (cube_id, memory_id) DO UPDATE SET pinned = :pinned"
)


class SqlKeepingStore(KeepingReads):
    """`memos.protocols.KeepingStore`."""

    def __init__(
        self,
        database: Database,
        *,
        jobs: SqlJobQueue,
        events: EventLog,
        graph: GraphUpkeep,
        clock: Clock,
    ) -> None:
        super().__init__(database)
        self._jobs = jobs
        self._events = events
        self._graph = graph
        self._clock = clock

    def apply(
        self,
        cube_id: str,
        deeds: Sequence[Deed],
        *,
        actor: str | None,
        run_id: str | None = None,
        jobs: Sequence[NewJob] = (),
    ) -> tuple[Deed, ...]:
        now = self._clock()
        with self._db.write() as connection:
            _, tenant_id = take_numbers(connection, cube_id, 0)
            present = deeds_of.read(connection, cube_id, deeds)
            todo = deeds_of.possible(deeds, present)
            if not todo:
                return ()
            pairs, notes = deeds_of.moved(todo, present, now)
            self._write(connection, cube_id, tenant_id, pairs, notes, actor)
            made = [item for deed in todo for item in deed.made]
            _insert(connection, cube_id, made, notes, actor)
            lineage.put(connection, cube_id, [line for deed in todo for line in deed.lineage])
            _shrink(connection, cube_id, [id for deed in todo for id in deed.shrunk])
            self._jobs.add(connection, jobs)
            told = [deeds_of.event_of(cube_id, deed, actor, run_id) for deed in todo]
            self._events.record(connection, tenant_id, told)
        return tuple(todo)

    def lineage(self, cube_id: str, memory_ids: Sequence[str]) -> tuple[Lineage, ...]:
        with self._db.read() as connection:
            return tuple(lineage.of(connection, cube_id, memory_ids))

    def use(self, cube_id: str, uses: Mapping[str, tuple[int, datetime]]) -> None:
        if not uses:
            return
        rows = [
            {"cube": cube_id, "id": id, "count": count, "at": micros(at)}
            for id, (count, at) in sorted(uses.items())
        ]
        with self._db.write() as connection:
            connection.execute(_use, rows)

    def uses(self, cube_id: str, memory_ids: Sequence[str]) -> dict[str, Use]:
        with self._db.read() as connection:
            rows = matching(
                connection,
                memory_use,
                cube_id,
                ("memory_id",),
                [(id,) for id in memory_ids],
                columns="memory_id, uses, last_used_at, pinned",
            )
        return {row[0]: use_of(*row[1:]) for row in rows}

    def pin(self, cube_id: str, memory_id: str, *, pinned: bool) -> None:
        with self._db.write() as connection:
            take_numbers(connection, cube_id, 0)
            rows = by_ids(connection, memory, cube_id, [memory_id], "id, state")
            if not rows or rows[0][1] == State.ERASED.value:
                raise memory_missing(cube_id, memory_id)
            connection.execute(_pin, {"cube": cube_id, "id": memory_id, "pinned": int(pinned)})

    def policy(self, cube_id: str) -> Policy | None:
        query = select(policy_table.c.content).where(policy_table.c.cube_id == cube_id)
        with self._db.read() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else policy_of(found)

    def put_policy(self, cube_id: str, policy: Policy, *, actor: str | None) -> None:
        row = {
            "cube_id": cube_id,
            "content": policy_text(policy),
            "actor": actor,
            "updated_at": micros(self._clock()),
        }
        with self._db.write() as connection:
            take_numbers(connection, cube_id, 0)
            connection.execute(delete(policy_table).where(policy_table.c.cube_id == cube_id))
            connection.execute(insert(policy_table), checked(row))

    def _write(
        self,
        connection: Connection,
        cube_id: str,
        tenant_id: str,
        pairs: Sequence[tuple[Memory, Memory]],
        notes: Mapping[str, tuple[str, str]],
        actor: str | None,
    ) -> None:
        """Memories in their new states, with history, indexed forms and graph in step."""
        if not pairs:
            return
        last, _ = take_numbers(connection, cube_id, len(pairs))
        rows = [
            (new.id, new.state.value, new.version, micros(new.updated_at), seq)
            for seq, (_, new) in enumerate(pairs, last - len(pairs) + 1)
        ]
        change(
            connection, memory, cube_id, ("id",), ("state", "version", "updated_at", "seq"), rows
        )
        load(connection, memory_version, [_version(new, notes, actor) for _, new in pairs])
        known = dict(
            map(
                tuple,
                matching(
                    connection,
                    indexed,
                    cube_id,
                    ("memory_id",),
                    [(new.id,) for _, new in pairs],
                    columns="memory_id, version",
                ),
            )
        )
        kept = [(new.id, new.version) for old, new in pairs if known.get(new.id) == old.version]
        change(connection, indexed, cube_id, ("memory_id",), ("version",), kept)
        self._graph.moved(connection, pairs)
        self._drop_files(connection, tenant_id, cube_id, [new for _, new in pairs])

    def _drop_files(
        self, connection: Connection, tenant_id: str, cube_id: str, moved: Sequence[Memory]
    ) -> None:
        """Files that carry a memory which is not live any more."""
        gone = [(item.id,) for item in moved if item.state not in LIVE]
        made = matching(
            connection, artifact_source, cube_id, ("memory_id",), gone, columns="memory_id"
        )
        for id in sorted({row[0] for row in made}):
            self._jobs.add(connection, after_forgetting(connection, tenant_id, cube_id, id))


def _version(
    item: Memory, notes: Mapping[str, tuple[str, str]], actor: str | None
) -> Sequence[Any]:
    operation, reason = notes[item.id]
    row = version_row(
        item, operation=operation, changed_at=item.updated_at, actor=actor, reason=reason
    )
    return tuple(checked(row).values())


def _insert(
    connection: Connection,
    cube_id: str,
    made: Sequence[tuple[Memory, Indexed]],
    notes: Mapping[str, tuple[str, str]],
    actor: str | None,
) -> None:
    if not made:
        return
    last, _ = take_numbers(connection, cube_id, len(made))
    stored = [
        dataclasses.replace(item, cube_id=cube_id, version=1, position=position)
        for position, (item, _) in enumerate(made, last - len(made) + 1)
    ]
    load(
        connection,
        memory,
        [
            tuple(memory_row(m, seq=m.position, position=m.position, version=1).values())
            for m in stored
        ],
    )
    load(connection, memory_version, [_version(item, notes, actor) for item in stored])
    load(
        connection,
        indexed,
        [
            tuple(indexed_row(cube_id, item.id, 1, form).values())
            for item, (_, form) in zip(stored, made, strict=True)
        ],
    )


def _shrink(connection: Connection, cube_id: str, ids: Sequence[str]) -> None:
    """Makes vectors small, and tells those who follow the feed."""
    if not ids:
        return
    rows = matching(
        connection,
        indexed,
        cube_id,
        ("memory_id",),
        [(id,) for id in dict.fromkeys(ids)],
        columns="memory_id, vector",
        where="vector IS NOT NULL",
    )
    for id, vector in rows:
        connection.execute(_set_vector, {"cube": cube_id, "id": id, "small": small_vector(vector)})
    last, _ = take_numbers(connection, cube_id, len(rows))
    stamps = [(row[0], seq) for seq, row in enumerate(rows, last - len(rows) + 1)]
    change(connection, memory, cube_id, ("id",), ("seq",), stamps)
