"""Where memories come from, and what must go along when one is erased.

Knows the rows; which lineage there is, is decided where actions are planned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from memos.storage.bulk import by_ids, load, matching, remove
from memos.storage.tables import lineage, memory, memory_use
from memos.types import Lineage, Relation, State

_COLUMNS = "derived_id, source_id, source_version, relation"


def put(connection: Connection, cube_id: str, rows: Sequence[Lineage]) -> None:
    """Adds what is not there yet; the newest version counts where it is."""
    if not rows:
        return
    on = ("derived_id", "source_id")
    once = {(row.derived_id, row.source_id): row for row in rows}
    remove(connection, lineage, cube_id, on, list(once))
    load(
        connection,
        lineage,
        [
            (
                cube_id,
                row.derived_id,
                row.source_id,
                row.source_version,
                row.relation.value,
            )
            for row in once.values()
        ],
    )


def of(connection: Connection, cube_id: str, ids: Sequence[str]) -> list[Lineage]:
    """All in which one of these is the derived memory or the source, in a fixed order."""
    keys = [(id,) for id in dict.fromkeys(ids)]
    found: dict[tuple[str, str], Lineage] = {}
    for column in ("derived_id", "source_id"):
        for row in matching(connection, lineage, cube_id, (column,), keys, columns=_COLUMNS):
            found[row[0], row[1]] = _lineage(row)
    return [found[key] for key in sorted(found)]


def doomed(connection: Connection, cube_id: str, memory_id: str) -> list[str]:
    """The memory, and what can't stay when it is erased: what was made of it, and what was merged
    into it and is not seen by itself; transitively."""
    found = level = [memory_id]
    while level:
        rows, inside = of(connection, cube_id, level), set(level)
        ends = list(dict.fromkeys(end for row in rows for end in (row.derived_id, row.source_id)))
        states = dict(map(tuple, by_ids(connection, memory, cube_id, ends, "id, state")))
        near = []
        for row in rows:
            made = row.source_id in inside and row.relation is Relation.MADE_FROM
            if made and states.get(row.derived_id) != State.ERASED.value:
                near.append(row.derived_id)
            merged = row.derived_id in inside and row.relation is Relation.MERGED
            if merged and states.get(row.source_id) == State.MERGED.value:
                near.append(row.source_id)
        level = [id for id in dict.fromkeys(near) if id not in found]
        found = [*found, *level]
    return found


def erase(connection: Connection, cube_id: str, ids: Sequence[str]) -> int:
    """Takes memories out of lineage and use; how many rows that were."""
    keys = [(id,) for id in ids]
    places: list[tuple[Any, str]] = [
        (lineage, "derived_id"),
        (lineage, "source_id"),
        (memory_use, "memory_id"),
    ]
    count = 0
    for table, column in places:
        count += len(matching(connection, table, cube_id, (column,), keys, columns=column))
        remove(connection, table, cube_id, (column,), keys)
    return count


def _lineage(row: Sequence[Any]) -> Lineage:
    return Lineage(
        derived_id=row[0],
        source_id=row[1],
        source_version=row[2],
        relation=Relation(row[3]),
    )
