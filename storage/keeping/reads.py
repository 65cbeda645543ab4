"""What planning reads: memories with all that is kept of them, what they assert, what has ended.

Knows columns; not what follows from them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import LargeBinary, TextClause, and_, cast, func, select, text

from memos.protocols import Ended, Held, Said
from memos.storage.bulk import matching
from memos.storage.engine import Database
from memos.storage.graph.records import END
from memos.storage.keeping.records import use_of
from memos.storage.records import memory_of, micros, moment, storable, vector_of
from memos.storage.tables import assertion, indexed, memory, memory_use
from memos.types import LIVE, Memory, State

_CHUNK = 500
_LIVE = ", ".join(f"'{state.value}'" for state in LIVE)
_joined = memory.outerjoin(
    indexed, and_(indexed.c.cube_id == memory.c.cube_id, indexed.c.memory_id == memory.c.id)
).outerjoin(
    memory_use,
    and_(memory_use.c.cube_id == memory.c.cube_id, memory_use.c.memory_id == memory.c.id),
)
# The assertion that a believed fact rests on, and the one that closed it.
_ended = text(
    "SELECT DISTINCT said.memory_id, said.subject_id, said.predicate, said.object_key,"
    " said.negated, closer.memory_id, fact.rule, fact.invalid_at, said.id FROM fact"
    " JOIN fact_source AS rests ON rests.cube_id = fact.cube_id AND rests.fact_id = fact.id"
    " AND rests.expired_at = :open"
    " JOIN assertion AS said ON said.cube_id = fact.cube_id AND said.id = rests.assertion_id"
    " JOIN assertion AS closer ON closer.cube_id = fact.cube_id AND closer.id = fact.closing"
    " JOIN memory ON memory.cube_id = fact.cube_id AND memory.id = said.memory_id"
    " AND memory.state = :live"
    " WHERE fact.cube_id = :cube AND fact.expired_at = :open AND fact.closing IS NOT NULL"
    " AND fact.invalid_at <= :now AND said.current = 1 AND said.memory_id <> closer.memory_id"
    " ORDER BY said.memory_id, said.id"
)


def _same(each: str) -> TextClause:
    """Of each of some sessions the last live turns that have one of some texts."""
    return text(
        "WITH w AS MATERIALIZED (SELECT value AS session, coalesce((SELECT position FROM memory"
        " WHERE cube_id = :cube AND session_id = value"
        " ORDER BY position DESC LIMIT 1 OFFSET :skip), 0) AS since"
        f" FROM {each.format('sessions')}),"
        f" said AS MATERIALIZED (SELECT value FROM {each.format('contents')})"
        " SELECT memory.* FROM w CROSS JOIN memory WHERE memory.cube_id = :cube"
        " AND memory.session_id = w.session AND memory.position >= w.since"
        f" AND memory.state IN ({_LIVE}) AND memory.content IN (SELECT value FROM said)"
    )


_SAME = {
    "sqlite": _same("json_each(:{})"),
    "postgresql": _same("json_array_elements_text(CAST(:{} AS json)) AS each(value)"),
}


class KeepingReads:
    """The reading half of `SqlKeepingStore`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def held(
        self,
        cube_id: str,
        *,
        after: int = 0,
        limit: int,
        states: Sequence[State] = LIVE,
    ) -> list[Held]:
        query = (
            select(
                *memory.c,
                indexed.c.vector,
                func.coalesce(_bytes(self._db, memory.c.content), 0)
                + func.coalesce(func.length(indexed.c.vector), 0)
                + func.coalesce(_bytes(self._db, indexed.c.terms), 0),
                func.coalesce(func.length(indexed.c.vector), 0),
                memory_use.c.uses,
                memory_use.c.last_used_at,
                memory_use.c.pinned,
            )
            .select_from(_joined)
            .where(
                memory.c.cube_id == cube_id,
                memory.c.position > after,
                memory.c.state.in_([state.value for state in states]),
            )
            .order_by(memory.c.position)
            .limit(limit)
        )
        width = len(memory.c)
        with self._db.read() as connection:
            rows = connection.execute(query).all()
        return [
            Held(
                memory=memory_of(row[:width]),
                vector=None if row[width] is None else vector_of(row[width]),
                bytes=int(row[width + 1]),
                vector_bytes=int(row[width + 2]),
                use=use_of(*row[width + 3 :]),
            )
            for row in rows
        ]

    def sessions(self, cube_id: str, *, visited: bool) -> list[str]:
        query = (
            select(memory.c.session_id)
            .distinct()
            .where(
                memory.c.cube_id == cube_id,
                memory.c.session_id.is_not(None),
                memory.c.state.in_([state.value for state in LIVE]),
            )
        )
        if visited:
            used = and_(
                memory_use.c.cube_id == memory.c.cube_id, memory_use.c.memory_id == memory.c.id
            )
            query = query.join(memory_use, used).where(memory_use.c.uses > 0)
        with self._db.read() as connection:
            return sorted(connection.execute(query).scalars())

    def newest(self, cube_id: str) -> datetime | None:
        last = select(memory.c.created_at).where(memory.c.cube_id == cube_id)
        with self._db.read() as connection:
            found = connection.execute(last.order_by(memory.c.position.desc()).limit(1)).scalar()
        return None if found is None else moment(found)

    def said(self, cube_id: str, memory_ids: Sequence[str]) -> dict[str, tuple[Said, ...]]:
        found: dict[str, list[Said]] = defaultdict(list)
        with self._db.read() as connection:
            for start in range(0, len(memory_ids), _CHUNK):
                part = memory_ids[start : start + _CHUNK]
                for row in matching(
                    connection,
                    assertion,
                    cube_id,
                    ("memory_id",),
                    [(id,) for id in part],
                    columns="memory_id, subject_id, predicate, object_key, negated,"
                    " span_start, span_end",
                    where="current = 1",
                ):
                    found[row[0]].append(Said((row[1], row[2], row[3], row[4]), row[5], row[6]))
        return {id: tuple(said) for id, said in found.items()}

    def ended(self, cube_id: str, *, now: datetime) -> list[Ended]:
        asked = {"cube": cube_id, "open": END, "live": State.ACTIVATED.value, "now": micros(now)}
        with self._db.read() as connection:
            return [
                Ended(
                    memory_id=row[0],
                    claim=(row[1], row[2], row[3], row[4]),
                    closer_id=row[5],
                    rule=row[6] or "",
                    at=moment(row[7]),
                )
                for row in connection.execute(_ended, asked)
            ]

    def same_turns(
        self, cube_id: str, turns: Mapping[str, Collection[str]], *, among: int
    ) -> list[Memory]:
        sessions = sorted(id for id in turns if storable(id))
        contents = sorted({text for of in turns.values() for text in of if storable(text)})
        if not sessions or not contents:
            return []
        with self._db.read() as connection:
            rows = connection.execute(
                _SAME[connection.dialect.name],
                {
                    "cube": cube_id,
                    "sessions": json.dumps(sessions, ensure_ascii=False),
                    "contents": json.dumps(contents, ensure_ascii=False),
                    "skip": among - 1,
                },
            ).all()
        return [
            found for found in map(memory_of, rows) if found.content in turns[str(found.session_id)]
        ]


def _bytes(database: Database, column: Any) -> Any:
    if database.is_sqlite:
        return func.length(cast(column, LargeBinary))
    return func.octet_length(column)
