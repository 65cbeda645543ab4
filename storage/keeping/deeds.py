"""Deeds as planned against memories as they are: which can still be done, what becomes of whom, and
the event that tells of it.

Knows states and versions; the rows are the store's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from memos.protocols import Deed
from memos.storage.bulk import by_ids
from memos.storage.records import memory_of
from memos.storage.tables import memory
from memos.types import COUNTED, Memory, NewEvent, Relation, UndoStep


def read(connection: Connection, cube_id: str, deeds: Sequence[Deed]) -> dict[str, Memory]:
    ids = [move.memory_id for deed in deeds for move in deed.moves]
    ids += [id for deed in deeds for row in deed.lineage for id in (row.source_id, row.derived_id)]
    rows = by_ids(connection, memory, cube_id, list(dict.fromkeys(ids)))
    return {row[1]: memory_of(row) for row in rows}


def possible(deeds: Sequence[Deed], present: Mapping[str, Memory]) -> list[Deed]:
    """Those whose memories are still as they were when it was planned, each in one deed only."""
    taken: set[str] = set()
    todo = []
    for deed in deeds:
        versions = {move.memory_id: move.version for move in deed.moves}
        versions |= {
            row.source_id: row.source_version
            for row in deed.lineage
            if row.source_id not in versions
        }
        same = all(id in present and present[id].version == v for id, v in versions.items())
        moving = {move.memory_id for move in deed.moves}
        if same and _stands(deed, present) and not moving & taken:
            taken |= moving
            todo.append(deed)
    return todo


def _stands(deed: Deed, present: Mapping[str, Memory]) -> bool:
    """Whether what is to stand for others is still found itself: it may have been forgotten since
    that was planned, and would hide them for ever."""
    heads = {row.derived_id for row in deed.lineage if row.relation is not Relation.MADE_FROM}
    return all(id in present and present[id].state in COUNTED for id in heads)


def moved(
    deeds: Sequence[Deed], present: Mapping[str, Memory], now: datetime
) -> tuple[list[tuple[Memory, Memory]], dict[str, tuple[str, str]]]:
    """(before, after) of each memory that moves, and (operation, reason) by memory."""
    pairs, notes = [], {}
    for deed in deeds:
        for move in deed.moves:
            old = present[move.memory_id]
            new = dataclasses.replace(
                old, state=move.to, version=old.version + 1, updated_at=max(now, old.updated_at)
            )
            pairs.append((old, new))
            notes[old.id] = (deed.kind.value, deed.reason)
        for item, _ in deed.made:
            notes[item.id] = (deed.kind.value, deed.reason)
    return pairs, notes


def event_of(cube_id: str, deed: Deed, actor: str | None, run_id: str | None) -> NewEvent:
    """What was done to which memories, by which numbers; how to take it back."""
    steps = [UndoStep(memory_id=move.memory_id, version=move.version) for move in deed.moves]
    steps += [UndoStep(memory_id=item.id) for item, _ in deed.made]
    ids = (deed.about, *(step.memory_id for step in steps), *deed.shrunk)
    ids = ids if run_id is None else (*ids, run_id)
    return NewEvent(
        kind=f"memory.{deed.kind.value}",
        subjects=tuple(dict.fromkeys(ids)),
        reason=deed.reason,
        numbers=dict(deed.numbers),
        actor=actor,
        cube_id=cube_id,
        undo=tuple(steps),
    )
