"""Readings: what was found in which version of a memory, stored, and what is still to be read.

Knows mentions and assertions as rows; not what their names mean, nor what follows from them (see
`deriving`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, text

from memos.errors import AlreadyExists, InvalidInput
from memos.protocols import IMPORTED, EntityMention, NewEntity, Reading, Recorded
from memos.storage.bulk import by_ids, change, load, matching, remove
from memos.storage.engine import Database
from memos.storage.errors import taken
from memos.storage.feed import take_numbers
from memos.storage.graph import entities
from memos.storage.graph.deriving import Deriver, Group
from memos.storage.graph.edit import Edit
from memos.storage.graph.records import STALE, assertion_row, spans_text, text_or_none
from memos.storage.records import memory_of
from memos.storage.tables import assertion, memory, mention, reading, reading_mark
from memos.types import LIVE, Assertion, Memory, State

_LIVE = tuple(state.value for state in LIVE)
# How many memories are looked through in vain before the mark is moved over them.
_STALE = 1000

_unread = text(
    "SELECT memory.* FROM memory LEFT JOIN reading ON reading.cube_id = memory.cube_id"
    " AND reading.memory_id = memory.id AND reading.version = memory.version"
    " AND reading.extractor IN (:extractor, :imported)"
    " WHERE memory.cube_id = :cube AND memory.position > :mark AND memory.state IN :live"
    " AND reading.memory_id IS NULL ORDER BY memory.position LIMIT :limit"
).bindparams(bindparam("imported", IMPORTED), bindparam("live", _LIVE, expanding=True))
_mark = text("SELECT position FROM reading_mark WHERE cube_id = :cube AND extractor = :extractor")
_last = text("SELECT change_seq FROM cube WHERE id = :cube")


@dataclass
class _Kept:
    """A reading that is stored, with the memory's state; `again`: it was read before."""

    reading: Reading
    live: bool
    again: bool


def record(
    edit: Edit, deriver: Deriver, new: Sequence[NewEntity], readings: Sequence[Reading]
) -> Recorded:
    """See `memos.protocols.GraphStore.record`."""
    kept = _standing_readings(edit, readings)
    got = entities.make(edit, _wanted(new, readings, kept))
    # A failure takes nothing away: what was read of this version before still holds.
    done = [item for item in kept if item.reading.error is None]
    again = {item.reading.memory_id for item in done if item.again}
    groups = _retire(edit, again)
    mentions = {item.reading.memory_id: _mentioned(item.reading, got) for item in done}
    said = {id for of in mentions.values() for id in of}
    roots = entities.standing(edit.connection, edit.cube_id, said)
    for id in sorted(said - roots.keys()):
        raise entities.entity_missing(id)
    rows = []
    for item in done:
        for one in item.reading.assertions:
            rows.append(_assertion(edit, deriver, one, item, got, roots))
    before = _said_before(edit, [row for row in rows if row[2] in again])
    _mention(edit, done, mentions, roots)
    names = {
        (span.normal, id) for of in mentions.values() for id, spans in of.items() for span in spans
    }
    entities.add_aliases(edit, names)
    _store(edit, kept)
    fresh = {row[1] for row in rows} - before
    changed = deriver.derive(edit, groups, added=rows, fresh=fresh)
    with taken(lambda: AlreadyExists("one of these assertions is already in the cube")):
        if rows:
            load(edit.connection, assertion, rows)
    return Recorded(got, changed)


def _said_before(edit: Edit, rows: Sequence[Sequence[Any]]) -> set[str]:
    """Ids of those that the same memory was read to say before; their rows make room. Rulings and
    revisions that name them go on naming them."""
    on = ("id", "memory_id")
    keys = [(row[1], row[2]) for row in rows]
    found = matching(edit.connection, assertion, edit.cube_id, on, keys, columns="id, memory_id")
    remove(edit.connection, assertion, edit.cube_id, on, [tuple(row) for row in found])
    return {row[0] for row in found}


def _standing_readings(edit: Edit, readings: Sequence[Reading]) -> list[_Kept]:
    """Those of the present version of a memory that is there; the last of each memory."""
    latest = {item.memory_id: item for item in readings}
    ids = list(latest)
    present = {
        row[0]: row
        for row in by_ids(edit.connection, memory, edit.cube_id, ids, "id, version, state")
    }
    before = {
        row[0]: row
        for row in matching(
            edit.connection,
            reading,
            edit.cube_id,
            ("memory_id",),
            [(id,) for id in ids],
            columns="memory_id, version, extractor",
        )
    }
    kept = []
    for id, item in latest.items():
        row, former = present.get(id), before.get(id)
        if row is None or row[1] != item.version or row[2] == State.ERASED.value:
            continue
        given = former is not None and former[2] == IMPORTED and former[1] == row[1]
        if given and item.extractor != IMPORTED:
            continue
        kept.append(_Kept(item, row[2] in _LIVE, former is not None))
    return kept


def _wanted(
    new: Sequence[NewEntity], readings: Sequence[Reading], kept: Sequence[_Kept]
) -> list[NewEntity]:
    """Entities that only a reading names which is not stored are not made either."""
    if len(kept) == len(readings):
        return list(new)
    named_in_kept = {id for item in kept for id in _ids(item.reading)}
    named = {id for item in readings for id in _ids(item)}
    return [item for item in new if item.id in named_in_kept or item.id not in named]


def _ids(item: Reading) -> set[str]:
    found = {one.entity_id for one in item.mentions}
    for one in item.assertions:
        found.add(one.subject_id)
        if one.object_id is not None:
            found.add(one.object_id)
    return found


def _mentioned(item: Reading, got: dict[str, str]) -> dict[str, list[EntityMention]]:
    """Places by entity; those of assertions are mentioned too, at no place."""
    found: dict[str, list[EntityMention]] = {got.get(id, id): [] for id in sorted(_ids(item))}
    for one in item.mentions:
        text_or_none(one.surface, "mention")
        found[got.get(one.entity_id, one.entity_id)].append(one)
    return found


def _assertion(
    edit: Edit,
    deriver: Deriver,
    item: Assertion,
    kept: _Kept,
    got: dict[str, str],
    roots: dict[str, str],
) -> tuple[Any, ...]:
    if item.cube_id != edit.cube_id or item.memory_id != kept.reading.memory_id:
        raise InvalidInput(f"assertion {item.id} is of another memory than its reading")
    if not 0 <= item.confidence <= 1:
        raise InvalidInput(f"a confidence of {item.confidence} is not within 0 and 1")
    if item.quantity is not None and not math.isfinite(item.quantity):
        raise InvalidInput(f"a quantity of {item.quantity} is no number")
    subject = got.get(item.subject_id, item.subject_id)
    object = None if item.object_id is None else got.get(item.object_id, item.object_id)
    return assertion_row(
        item,
        subject_id=roots[subject],
        object_id=None if object is None else roots[object],
        said_subject_id=subject,
        said_object_id=object,
        folded=deriver.rules.folded,
        active=kept.live,
        created_at=edit.now,
    )


def _retire(edit: Edit, memory_ids: Collection[str]) -> set[Group]:
    """What was read of these memories before holds no longer; the groups that it touches."""
    rows = matching(
        edit.connection,
        assertion,
        edit.cube_id,
        ("memory_id",),
        [(id,) for id in sorted(memory_ids)],
        columns="id, subject_id, predicate, object_key",
        where="current = 1",
    )
    change(
        edit.connection,
        assertion,
        edit.cube_id,
        ("id",),
        ("current", "active"),
        [(row[0], 0, 0) for row in rows],
    )
    return {(row[1], row[2], row[3]) for row in rows}


def _mention(
    edit: Edit,
    kept: Sequence[_Kept],
    mentions: dict[str, dict[str, list[EntityMention]]],
    roots: dict[str, str],
) -> None:
    former = matching(
        edit.connection,
        mention,
        edit.cube_id,
        ("memory_id",),
        [(item.reading.memory_id,) for item in kept if item.again],
        columns="memory_id, said_id, active",
    )
    # What only a former reading found stays as long as the memory, but does not count.
    again = [(row[0], row[1]) for row in former if row[1] in mentions[row[0]]]
    lost = [row for row in former if row[1] not in mentions[row[0]] and row[2] != STALE]
    on = ("memory_id", "said_id")
    stale = [(row[0], row[1], STALE, edit.number()) for row in lost]
    change(edit.connection, mention, edit.cube_id, on, ("active", "seq"), stale)
    remove(edit.connection, mention, edit.cube_id, on, again)
    rows = []
    for item in kept:
        memory_id, active = item.reading.memory_id, int(item.live)
        for id, spans in mentions[memory_id].items():
            text = spans_text(spans)
            rows.append((edit.cube_id, memory_id, id, roots[id], edit.number(), active, text))
    if rows:
        load(edit.connection, mention, rows)


def _store(edit: Edit, kept: Sequence[_Kept]) -> None:
    rows = [
        (
            edit.cube_id,
            item.reading.memory_id,
            item.reading.version,
            item.reading.extractor,
            text_or_none(item.reading.error, "error"),
            edit.now,
        )
        for item in kept
    ]
    remove(edit.connection, reading, edit.cube_id, ("memory_id",), [(row[1],) for row in rows])
    if rows:
        load(edit.connection, reading, rows)


def unread(database: Database, cube_id: str, extractor: str, limit: int) -> list[Memory]:
    """Live memories that are still to be read, by position. A mark keeps what was read long ago
    from being looked through each time."""
    asked = {"cube": cube_id, "extractor": extractor, "limit": limit}
    with database.read() as connection:
        mark, last = _marks(connection, asked)
        rows = connection.execute(_unread, {**asked, "mark": mark}).all()
    first = rows[0].position if rows else last + 1
    if first - mark > _STALE:
        with database.write() as connection:
            take_numbers(connection, cube_id, 0)
            _advance(connection, asked)
    return [memory_of(row) for row in rows]


def _marks(connection: Connection, asked: dict[str, Any]) -> tuple[int, int]:
    last = connection.execute(_last, {"cube": asked["cube"]}).scalar() or 0
    mark = connection.execute(
        _mark, {"cube": asked["cube"], "extractor": asked["extractor"]}
    ).scalar()
    return mark or 0, last


def _advance(connection: Connection, asked: dict[str, Any]) -> None:
    """Under the cube's lock, so that no memory becomes unread below the mark meanwhile."""
    mark, last = _marks(connection, asked)
    row = connection.execute(_unread, {**asked, "mark": mark, "limit": 1}).first()
    position = last if row is None else row.position - 1
    key = [(asked["extractor"],)]
    remove(connection, reading_mark, asked["cube"], ("extractor",), key)
    load(connection, reading_mark, [(asked["cube"], asked["extractor"], position)])


def lower_marks(connection: Connection, cube_id: str, position: int) -> None:
    """A memory at `position` may be unread again."""
    connection.execute(
        text(
            "UPDATE reading_mark SET position = :below WHERE cube_id = :cube AND position > :below"
        ),
        {"cube": cube_id, "below": position - 1},
    )
