"""What was made of memories of which some have ended since: retired, and made again of the rest.

A memory that is made quotes its sources. When one of these no longer holds, since a newer memory
has superseded it, the quote would go on saying what is over, as part of a profile even. Reads the
store and changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memos.consolidation.made import FEWEST_LEFT, SOURCE, action_of
from memos.consolidation.quoting import day_of, quoted
from memos.consolidation.recurrence import Recurring
from memos.consolidation.standing import ways
from memos.protocols import Deed, Held, KeepingStore, Move
from memos.types import ActionKind, Lineage, Relation, State

if TYPE_CHECKING:
    from memos.protocols import Vector

_PAGE = 2000


@dataclass(frozen=True, slots=True)
class Outdated:
    """How a memory that was made is retired, and what is to be made instead, if enough is left."""

    id: str
    deed: Deed
    again: Recurring | None


def outdated(
    store: KeepingStore,
    cube_id: str,
    held: Sequence[Held],
    vectors: Vector,
    deeds: Sequence[Deed],
) -> list[Outdated]:
    """Of live memories `held`, with their vectors (n, dimensions), and what is planned for them."""
    gone = {move.memory_id for deed in deeds for move in deed.moves}
    rows = {item.memory.id: row for row, item in enumerate(held) if item.memory.id not in gone}
    sources = _sources(store, cube_id, held, rows)
    every = {source for mine in sources.values() for source in mine}
    way = ways(store, cube_id, every, rows, deeds)
    found = []
    for row, mine in sorted(sources.items()):
        ended = [source for source in mine if way[source].ended]
        if ended:
            about = next((head for one in ended if (head := way[one].head)), None)
            left = [head for one in mine if (head := way[one].head) and not way[one].ended]
            deed = retirement(
                held[row],
                about or held[row].memory.id,
                "some of what it was made of has ended"
                if left
                else "all that it was made of has ended",
                {"sources": len(mine), "ended": len(ended)},
            )
            again = _again(held, vectors, row, {rows[head] for head in left})
            found.append(Outdated(held[row].memory.id, deed, again))
    return found


def retirement(item: Held, about: str, reason: str, numbers: Mapping[str, float]) -> Deed:
    """The deed by which `about` takes the place of a memory."""
    return Deed(
        ActionKind.SUPERSEDE,
        about,
        reason,
        numbers,
        moves=(Move(item.memory.id, item.memory.version, State.MERGED),),
        lineage=(line(about, item, Relation.SUPERSEDED),) if about != item.memory.id else (),
    )


def line(derived_id: str, item: Held, relation: Relation) -> Lineage:
    """From a memory as it is now to the one that stands for it."""
    return Lineage(
        derived_id=derived_id,
        source_id=item.memory.id,
        source_version=item.memory.version,
        relation=relation,
    )


def _sources(
    store: KeepingStore, cube_id: str, held: Sequence[Held], rows: Mapping[str, int]
) -> dict[int, list[str]]:
    """By row of a memory that was made here and stays: of which memories."""
    made = [
        item.memory.id
        for item in held
        if item.memory.provenance.source == SOURCE and not item.fixed and item.memory.id in rows
    ]
    mine = set(made)
    found: dict[int, list[str]] = defaultdict(list)
    for start in range(0, len(made), _PAGE):
        for one in store.lineage(cube_id, made[start : start + _PAGE]):
            if one.relation is Relation.MADE_FROM and one.derived_id in mine:
                found[rows[one.derived_id]].append(one.source_id)
    return found


def _again(held: Sequence[Held], vectors: Vector, row: int, left: set[int]) -> Recurring | None:
    """What is made of the rest, in place of the memory in `row`."""
    if len(left) < FEWEST_LEFT:
        return None
    rows = tuple(sorted(left, key=lambda one: held[one].memory.position))
    members = [held[one].memory for one in rows]
    made, block = held[row].memory, vectors[list(rows)]
    action = action_of(made)
    return Recurring(
        action,
        made.kind,
        rows,
        quoted(action, made.kind, members, block),
        times=len(rows),
        days=len({day_of(memory) for memory in members}),
        cosine=float(np.min(block @ block[0])),
        again=True,
    )
