"""Notes in SQL: one present revision of each, former ones kept.

Knows nothing of how they are made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, insert, select

from memos.protocols import Clock
from memos.storage.bulk import by_ids, change, load, matching, remove
from memos.storage.engine import Database
from memos.storage.feed import take_numbers
from memos.storage.graph.records import END, text_or_none, until_of
from memos.storage.records import json_text, link_row, micros, moment
from memos.storage.tables import link, memory, note, removed_link
from memos.types import LIVE, Link, Note, State

_KEY = ("memory_id", "revision")


class SqlNoteStore:
    """`memos.protocols.NoteStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def put(
        self,
        cube_id: str,
        notes: Sequence[Note],
        *,
        links: Sequence[Link] = (),
        relinked: Sequence[str] = (),
    ) -> tuple[Note, ...]:
        now = micros(self._clock())
        with self._db.write() as connection:
            take_numbers(connection, cube_id, 0)
            ends = {id for item in links for id in (item.source_id, item.target_id)}
            ends |= {item.memory_id for item in notes} | {
                item.cause for item in notes if item.cause
            }
            states = dict(
                map(tuple, by_ids(connection, memory, cube_id, sorted(ends), "id, state"))
            )
            there = {id for id, state in states.items() if state != State.ERASED.value}
            stored = _store(connection, cube_id, [n for n in notes if _stays(n, there)], now)
            kept = [item for item in links if {item.source_id, item.target_id} <= there]
            _unlink(connection, cube_id, relinked, kept, now)
            _link(connection, cube_id, kept)
        return stored

    def get(
        self, cube_id: str, memory_ids: Sequence[str], *, known_as_of: datetime | None = None
    ) -> dict[str, Note]:
        asked: dict[str, Any] = {"known": END}
        where = "expired_at = :known"
        if known_as_of is not None:
            where, asked = (
                "created_at <= :known AND expired_at > :known",
                {"known": micros(known_as_of)},
            )
        keys = [(id,) for id in dict.fromkeys(memory_ids)]
        with self._db.read() as connection:
            rows = matching(connection, note, cube_id, ("memory_id",), keys, where=where, **asked)
        return {row[1]: _note_of(row) for row in rows}

    def history(self, cube_id: str, memory_id: str) -> tuple[Note, ...]:
        query = (
            select(note)
            .where(note.c.cube_id == cube_id, note.c.memory_id == memory_id)
            .order_by(note.c.revision)
        )
        with self._db.read() as connection:
            return tuple(_note_of(row) for row in connection.execute(query))

    def caused_by(self, cube_id: str, memory_id: str) -> tuple[Note, ...]:
        query = (
            select(note)
            .where(note.c.cube_id == cube_id, note.c.cause == memory_id, note.c.expired_at == END)
            .order_by(note.c.memory_id)
        )
        with self._db.read() as connection:
            return tuple(_note_of(row) for row in connection.execute(query))


def erase_those_of(connection: Connection, cube_id: str, memory_id: str, *, now: int) -> None:
    """The memory's note, and what it brought about in others: those revisions go, and with them
    the ones that others made on top of them. What a memory says by itself stays; the newest of
    what is left is the present one, unless it is owed to a memory that is forgotten: then the one
    before comes back as one more revision."""
    remove(connection, note, cube_id, ("memory_id",), [(memory_id,)])
    caused: dict[str, int] = {}
    for other, revision in matching(
        connection, note, cube_id, ("cause",), [(memory_id,)], columns="memory_id, revision"
    ):
        caused[other] = min(revision, caused.get(other, revision))
    left: dict[str, list[Sequence[Any]]] = {id: [] for id in caused}
    gone = []
    for row in matching(connection, note, cube_id, ("memory_id",), [(id,) for id in caused]):
        if row[2] >= caused[row[1]] and row[7] is not None:
            gone.append((row[1], row[2]))
        else:
            left[row[1]].append(row)
    remove(connection, note, cube_id, _KEY, gone)
    causes = sorted({row[7] for rows in left.values() for row in rows if row[7] is not None})
    states = dict(map(tuple, by_ids(connection, memory, cube_id, causes, "id, state")))
    live = {id for id, state in states.items() if State(state) in LIVE}
    more: list[Sequence[Any]] = []
    for rows in left.values():
        rows.sort(key=lambda row: row[2])
        standing = [row for row in rows if row[7] is None or row[7] in live]
        if standing and standing[-1] is not rows[-1]:
            at = max(now, rows[-1][8])
            rows.append([*standing[-1][:2], rows[-1][2] + 1, *standing[-1][3:8], at, END])
            more.append(rows[-1])
    ends = [(row[1], row[2], after[8]) for rows in left.values() for row, after in pairwise(rows)]
    ends += [(rows[-1][1], rows[-1][2], END) for rows in left.values() if rows]
    change(connection, note, cube_id, _KEY, ("expired_at",), ends)
    if more:
        load(connection, note, more)


def _stays(item: Note, there: set[str]) -> bool:
    return item.memory_id in there and (item.cause is None or item.cause in there)


def _store(
    connection: Connection, cube_id: str, notes: Sequence[Note], now: int
) -> tuple[Note, ...]:
    present: dict[str, tuple[int, int]] = {}
    ended: list[tuple[Any, ...]] = []
    for id, revision, created_at in matching(
        connection,
        note,
        cube_id,
        ("memory_id",),
        sorted({(item.memory_id,) for item in notes}),
        columns="memory_id, revision, created_at",
        where=f"expired_at = {END}",
    ):
        present[id] = (revision, created_at)
    rows: dict[tuple[str, int], list[Any]] = {}
    order = []
    for item in notes:
        id = item.memory_id
        revision, created_at = present.get(id, (0, now))
        at = max(now, created_at)
        if (id, revision) in rows:
            rows[id, revision][-1] = at
        elif revision:
            ended.append((id, revision, at))
        rows[id, revision + 1] = _row(cube_id, item, revision + 1, at)
        order.append((id, revision + 1))
        present[id] = (revision + 1, at)
    change(connection, note, cube_id, _KEY, ("expired_at",), ended)
    if rows:
        load(connection, note, list(rows.values()))
    return tuple(_note_of(rows[key]) for key in order)


def _row(cube_id: str, item: Note, revision: int, at: int) -> list[Any]:
    return [
        cube_id,
        item.memory_id,
        revision,
        json_text(item.keywords),
        json_text(item.tags),
        text_or_none(item.context, "context"),
        item.method,
        item.cause,
        at,
        END,
    ]


def _note_of(row: Sequence[Any]) -> Note:
    return Note(
        memory_id=row[1],
        revision=row[2],
        keywords=tuple(json.loads(row[3])),
        tags=tuple(json.loads(row[4])),
        context=row[5],
        method=row[6],
        cause=row[7],
        created_at=moment(row[8]),
        expired_at=until_of(row[9]),
    )


def _unlink(
    connection: Connection, cube_id: str, relinked: Sequence[str], links: Sequence[Link], now: int
) -> None:
    """Removes what was drafted of the former texts of `relinked` and is not among `links`."""
    wanted = {(item.source_id, item.target_id, item.relation) for item in links}
    drafted: Sequence[Any] = matching(
        connection,
        link,
        cube_id,
        ("source_id",),
        [(id,) for id in relinked],
        where="origin IS NOT NULL",
    )
    gone = [row for row in drafted if (row.source_id, row.target_id, row.relation) not in wanted]
    remove(connection, link, cube_id, ("id",), [(row.id,) for row in gone])
    if gone:
        rows = [{**row._mapping, "removed_at": now} for row in gone]
        connection.execute(insert(removed_link), rows)


def _link(connection: Connection, cube_id: str, links: Sequence[Link]) -> None:
    """Those that are not there yet."""
    key = ("source_id", "target_id", "relation")
    wanted = {(item.source_id, item.target_id, item.relation): item for item in links}
    there = matching(
        connection, link, cube_id, key, sorted(wanted), columns="source_id, target_id, relation"
    )
    for row in there:
        wanted.pop((row[0], row[1], row[2]), None)
    rows = [link_row(item).values() for item in wanted.values()]
    if rows:
        load(connection, link, rows)
