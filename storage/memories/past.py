"""Memories as they were believed at a time past: the version that was the last one then.

Reads rows and their snapshots; knows nothing of search. Most memories have not changed since, and
are their own past; of the others the history has it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, TextClause, bindparam, exists, select, text

from memos.storage.bulk import by_ids
from memos.storage.engine import Database
from memos.storage.records import memory_of, micros, snapshot_of
from memos.storage.tables import memory, memory_version
from memos.types import LIVE, Kind, Memory, State

_changed_between = exists().where(
    memory_version.c.cube_id == bindparam("cube"),
    memory_version.c.changed_at > bindparam("since"),
    memory_version.c.changed_at <= bindparam("until"),
)
# The keys drive the look-up on either database, as in `memos.storage.bulk`.
_SQLITE_SNAPSHOTS = text(
    "SELECT v.memory_id, v.snapshot FROM json_each(:ids) AS wanted CROSS JOIN memory_version AS v"
    " WHERE v.cube_id = :cube AND v.memory_id = wanted.value AND v.version ="
    " (SELECT max(version) FROM memory_version WHERE cube_id = :cube"
    " AND memory_id = wanted.value AND changed_at <= :at)"
)
_POSTGRES_SNAPSHOTS = text(
    "SELECT v.memory_id, v.snapshot FROM unnest(CAST(:ids AS text[])) AS wanted(id)"
    " CROSS JOIN LATERAL (SELECT memory_id, snapshot FROM memory_version WHERE cube_id = :cube"
    " AND memory_id = wanted.id AND changed_at <= :at ORDER BY version DESC LIMIT 1) AS v"
)


class SqlPastStore:
    """`memos.protocols.PastStore`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, cube_id: str, ids: Sequence[str], *, at: datetime) -> dict[str, Memory]:
        with self._db.read() as connection:
            rows = by_ids(connection, memory, cube_id, ids)
            return self._then(connection, cube_id, [memory_of(row) for row in rows], at)

    def page(
        self,
        cube_id: str,
        *,
        at: datetime,
        after: int = 0,
        limit: int,
        states: Sequence[State] = LIVE,
        kinds: Sequence[Kind] = (),
        user_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
    ) -> list[Memory]:
        query = (
            select(memory)
            .where(
                memory.c.cube_id == cube_id,
                memory.c.created_at <= micros(at),
                memory.c.state != State.ERASED.value,
            )
            .order_by(memory.c.position)
            .limit(limit)
        )
        # A memory's scope never changes; its state and kind do, so those are looked at afterwards.
        scope = {"user_id": user_id, "agent_id": agent_id, "session_id": session_id}
        for name, value in scope.items():
            if value is not None:
                query = query.where(memory.c[name] == value)
        found: list[Memory] = []
        with self._db.read() as connection:
            while len(found) < limit:
                rows = connection.execute(query.where(memory.c.position > after)).all()
                if not rows:
                    break
                present = [memory_of(row) for row in rows]
                after = present[-1].position
                then = self._then(connection, cube_id, present, at)
                found += [
                    old
                    for new in present
                    if (old := then.get(new.id)) is not None
                    and (not states or old.state in states)
                    and (not kinds or old.kind in kinds)
                ]
        return found[:limit]

    def changed(
        self, cube_id: str, ids: Sequence[str], *, at: datetime
    ) -> dict[str, Memory | None]:
        with self._db.read() as connection:
            rows = by_ids(connection, memory, cube_id, ids, "id, updated_at")
            since = [row[0] for row in rows if row[1] > micros(at)]
            then = _snapshots(connection, cube_id, since, at)
        return {memory_id: then.get(memory_id) for memory_id in since}

    def unchanged(self, cube_id: str, *, since: datetime, until: datetime) -> bool:
        asked = {"cube": cube_id, "since": micros(since), "until": micros(until)}
        with self._db.read() as connection:
            return not connection.execute(select(_changed_between), asked).scalar()

    def _then(
        self, connection: Connection, cube_id: str, present: Sequence[Memory], at: datetime
    ) -> dict[str, Memory]:
        since = [new.id for new in present if new.updated_at > at and new.created_at <= at]
        found = _snapshots(connection, cube_id, since, at)
        found.update(
            (new.id, new)
            for new in present
            if new.updated_at <= at and new.state is not State.ERASED
        )
        return found


def _snapshots(
    connection: Connection, cube_id: str, ids: Sequence[str], at: datetime
) -> dict[str, Memory]:
    """The last version by then of each; those that had none, or were erased since, are left out."""
    if not ids:
        return {}
    statement: TextClause = _POSTGRES_SNAPSHOTS
    keys: Any = list(ids)
    if connection.dialect.name == "sqlite":
        statement, keys = _SQLITE_SNAPSHOTS, json.dumps(keys)
    rows = connection.execute(statement, {"cube": cube_id, "ids": keys, "at": micros(at)})
    return {row[0]: snapshot_of(row[1]) for row in rows if row[1] is not None}
