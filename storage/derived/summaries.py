"""Summaries in SQL, with the memories that each was made from.

Knows nothing of how they are made.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, or_, select, update

from memos.errors import VersionConflict
from memos.protocols import Clock, Covered
from memos.storage.bulk import by_ids, change, load, matching, remove
from memos.storage.engine import Database
from memos.storage.events import EventLog
from memos.storage.feed import take_numbers
from memos.storage.graph.records import END, named, text_or_none
from memos.storage.records import json_text, micros, moment, storable
from memos.storage.tables import memory, summary, summary_source
from memos.types import LIVE, NewEvent, State, Summary, SummaryKind, UndoStep


class SqlSummaryStore:
    """`memos.protocols.SummaryStore`."""

    def __init__(self, database: Database, *, events: EventLog, clock: Clock) -> None:
        self._db = database
        self._events = events
        self._clock = clock

    def replace(
        self,
        cube_id: str,
        kind: SummaryKind,
        summaries: Sequence[Summary],
        *,
        keys: Sequence[str],
        told: Mapping[str, NewEvent] | None = None,
    ) -> tuple[Summary, ...]:
        now = micros(self._clock())
        with self._db.write() as connection:
            _, tenant_id = take_numbers(connection, cube_id, 0)
            present = _present(connection, cube_id, kind, keys)
            fresh = _living(connection, cube_id, summaries)
            # What is the same as before stays what it was.
            wanted = {_same(item) for item in fresh}
            kept = {_same(item): item for item in present if _same(item) in wanted}
            gone = [(item.id, now) for item in present if _same(item) not in kept]
            change(connection, summary, cube_id, ("id",), ("expired_at",), gone)
            new = [item for item in fresh if _same(item) not in kept]
            if new:
                load(connection, summary, [_row(cube_id, kind, item, now) for item in new])
                load(
                    connection, summary_source, [row for item in new for row in _of(cube_id, item)]
                )
            self._events.record(connection, tenant_id, _about(told or {}, new))
        return tuple(new)

    def covered(
        self, cube_id: str, kinds: Sequence[SummaryKind]
    ) -> dict[tuple[SummaryKind, str], Covered]:
        columns = summary.c.kind, summary.c.key, summary.c.covers, summary.c.undone
        query = select(*columns).where(
            summary.c.cube_id == cube_id,
            summary.c.kind.in_([kind.value for kind in kinds]),
            or_(summary.c.expired_at == END, summary.c.undone == 1),
        )
        found: dict[tuple[SummaryKind, str], tuple[set[str], set[str]]] = {}
        with self._db.read() as connection:
            for kind, key, covers, undone in connection.execute(query):
                sets = found.setdefault((SummaryKind(kind), key), (set(), set()))
                sets[undone].add(covers or "")
        return {name: Covered(*map(frozenset, sets)) for name, sets in found.items()}

    def former(self, cube_id: str, kind: SummaryKind, key: str) -> list[tuple[Summary, bool]]:
        query = select(summary).where(
            summary.c.cube_id == cube_id, summary.c.kind == kind.value, summary.c.key == key
        )
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(summary.c.created_at, summary.c.id)).all()
            undone = [bool(row.undone) for row in rows]
            return list(zip(_built(connection, cube_id, rows), undone, strict=True))

    def get(self, cube_id: str, summary_id: str) -> Summary | None:
        if not storable(summary_id):
            return None
        query = select(summary).where(summary.c.cube_id == cube_id, summary.c.id == summary_id)
        with self._db.read() as connection:
            found = _built(connection, cube_id, connection.execute(query).all())
        return found[0] if found else None

    def take_back(self, cube_id: str, ids: Sequence[str], *, told: NewEvent) -> None:
        named = (summary.c.cube_id == cube_id, summary.c.id.in_(list(ids)))
        mine = (*named, summary.c.expired_at == END)
        with self._db.write() as connection:
            _, tenant_id = take_numbers(connection, cube_id, 0)
            done = connection.execute(
                update(summary).where(*mine).values(expired_at=micros(self._clock()), undone=1)
            )
            if done.rowcount != len(ids):
                raise VersionConflict(
                    f"of {len(ids)} summaries {len(ids) - done.rowcount} are not the present ones "
                    "any more, so none was taken back",
                    expected=len(ids),
                    actual=done.rowcount,
                )
            self._events.record(connection, tenant_id, [told])

    def of(
        self, cube_id: str, memory_ids: Sequence[str], *, known_as_of: datetime | None = None
    ) -> list[Summary]:
        keys = [(id,) for id in dict.fromkeys(memory_ids)]
        with self._db.read() as connection:
            named = matching(
                connection, summary_source, cube_id, ("memory_id",), keys, columns="summary_id"
            )
            ids = sorted({row[0] for row in named})
            rows = by_ids(connection, summary, cube_id, ids)
            found = _built(connection, cube_id, [row for row in rows if _held(row, known_as_of)])
        return sorted(found, key=lambda one: one.id)

    def page(
        self,
        cube_id: str,
        kind: SummaryKind | None = None,
        *,
        keys: Sequence[str] = (),
        known_as_of: datetime | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[Summary]:
        query = select(summary).where(summary.c.cube_id == cube_id)
        if kind is not None:
            query = query.where(summary.c.kind == kind.value)
        if keys:
            query = query.where(summary.c.key.in_(list(keys)))
        if known_as_of is None:
            query = query.where(summary.c.expired_at == END)
        else:
            at = micros(known_as_of)
            query = query.where(summary.c.created_at <= at, summary.c.expired_at > at)
        if after is not None:
            query = query.where(summary.c.id > after)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(summary.c.id).limit(limit)).all()
            return _built(connection, cube_id, rows)


def expire_those_of(connection: Connection, cube_id: str, memory_id: str, *, at: int) -> None:
    """Summaries made from a memory hold no longer."""
    change(
        connection,
        summary,
        cube_id,
        ("id", "expired_at"),
        ("expired_at",),
        [(id, END, at) for id in _made_from(connection, cube_id, memory_id)],
    )


def erase_those_of(connection: Connection, cube_id: str, memory_id: str) -> None:
    """Summaries made from a memory, former ones too, are deleted."""
    ids = [(id,) for id in _made_from(connection, cube_id, memory_id)]
    remove(connection, summary, cube_id, ("id",), ids)
    remove(connection, summary_source, cube_id, ("summary_id",), ids)


def _made_from(connection: Connection, cube_id: str, memory_id: str) -> list[str]:
    rows = matching(
        connection, summary_source, cube_id, ("memory_id",), [(memory_id,)], columns="summary_id"
    )
    return sorted({row[0] for row in rows})


def _present(
    connection: Connection, cube_id: str, kind: SummaryKind, keys: Sequence[str]
) -> list[Summary]:
    query = select(summary).where(
        summary.c.cube_id == cube_id, summary.c.kind == kind.value, summary.c.expired_at == END
    )
    if keys:
        query = query.where(summary.c.key.in_(list(keys)))
    return _built(connection, cube_id, connection.execute(query).all())


def _living(connection: Connection, cube_id: str, summaries: Sequence[Summary]) -> list[Summary]:
    """Those whose memories are all live: one may have been forgotten while they were made."""
    ids = sorted({id for item in summaries for id in item.memory_ids})
    states = dict(map(tuple, by_ids(connection, memory, cube_id, ids, "id, state")))
    live = {id for id, state in states.items() if State(state) in LIVE}
    return [item for item in summaries if live.issuperset(item.memory_ids)]


def _same(item: Summary) -> tuple[Any, ...]:
    return (
        *(item.kind, item.key, item.text, item.memory_ids, item.entity_ids, item.method),
        item.covers,
    )


def _about(told: Mapping[str, NewEvent], new: Sequence[Summary]) -> list[NewEvent]:
    """An event for each key that has new summaries."""
    ids: dict[str, list[str]] = defaultdict(list)
    for item in new:
        ids[item.key].append(item.id)
    return [
        dataclasses.replace(
            told[key],
            subjects=(*ids[key], *told[key].subjects),
            undo=tuple(UndoStep(memory_id=id) for id in ids[key]),
        )
        for key in sorted(ids.keys() & told.keys())
    ]


def _held(row: Sequence[Any], known_as_of: datetime | None) -> bool:
    """Whether a row of `summary` held then, or holds now."""
    created, expired = row[7], row[8]
    if known_as_of is None:
        return bool(expired == END)
    return bool(created <= micros(known_as_of) < expired)


def _row(cube_id: str, kind: SummaryKind, item: Summary, now: int) -> tuple[Any, ...]:
    return (
        cube_id,
        item.id,
        kind.value,
        named(item.key, "key"),
        text_or_none(item.text, "text"),
        json_text(item.entity_ids),
        item.method,
        now,
        END,
        item.covers,
        0,
    )


def _of(cube_id: str, item: Summary) -> list[tuple[Any, ...]]:
    return [(cube_id, item.id, number, id) for number, id in enumerate(item.memory_ids)]


def _built(connection: Connection, cube_id: str, rows: Sequence[Sequence[Any]]) -> list[Summary]:
    sources: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for id, ordinal, memory_id in matching(
        connection,
        summary_source,
        cube_id,
        ("summary_id",),
        [(row[1],) for row in rows],
        columns="summary_id, ordinal, memory_id",
    ):
        sources[id].append((ordinal, memory_id))
    return [
        Summary(
            id=row[1],
            cube_id=cube_id,
            kind=SummaryKind(row[2]),
            key=row[3],
            text=row[4],
            memory_ids=tuple(id for _, id in sorted(sources[row[1]])),
            entity_ids=tuple(json.loads(row[5])),
            method=row[6],
            created_at=moment(row[7]),
            covers=row[9],
        )
        for row in rows
    ]
