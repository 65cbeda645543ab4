"""What recurs: topics over many days, instructions and corrections, preferences.

A group is a star (Aslam, Pelekhov and Rus, "The Star Clustering Algorithm", 2004): a centre and
what is near it, so that no chain of small steps joins what has nothing in common. What is made of
a group quotes its members and adds nothing. Rules for English. Pure; knows no store.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memos.consolidation.neighbours import Pairs, near_pairs
from memos.consolidation.quoting import day_of, quoted
from memos.consolidation.wants import is_instruction, is_preference
from memos.consolidation.wording import compatible, wording
from memos.protocols import Held
from memos.retrieval.reading.analysis import text_of
from memos.retrieval.reading.telling import telling
from memos.types import ActionKind, Kind, Memory

if TYPE_CHECKING:
    from memos.protocols import Vector

TOPIC = 0.7
"""Cosine of two memories of one topic."""
_ALIKE = 0.72
"""Cosine of two instructions, or two preferences, that mean the same."""
_FEWEST = {ActionKind.GENERALISE: 3, ActionKind.PROCEDURE: 2, ActionKind.CORE: 3}
"""How often something was said at least that is made a memory of its own."""
_TOPIC_DAYS = 2
"""On how many days at least a topic came up."""
_TOLD = 40
"""Characters of assertions that a memory of a topic has at least."""
_PIECE = 256
_SHARE = 50
"""At most one memory of a topic is made of so many."""


@dataclass(frozen=True, slots=True)
class Recurring:
    """Rows that a memory of `kind` is to be made of, with its text. `times` counts what was merged
    into the rows too; `days` are those of the rows. `again`: it takes the place of one that was
    made of more, of which some has ended."""

    action: ActionKind
    kind: Kind
    rows: tuple[int, ...]
    text: str
    times: int
    days: int
    cosine: float
    again: bool = False


def recurring(
    held: Sequence[Held],
    vectors: Vector,
    times: Mapping[str, int],
    known: Mapping[str, frozenset[ActionKind]],
    *,
    beat: Callable[[], object] = lambda: None,
) -> list[Recurring]:
    """What is to be made of live memories. `times`: how often each was said; `known`: what was made
    of it already, which is not made again."""
    found: list[Recurring] = []
    for action, kind, picked in (
        (ActionKind.PROCEDURE, Kind.PROCEDURAL, is_instruction),
        (ActionKind.CORE, Kind.CORE, is_preference),
    ):
        rows = _eligible_rows(held, action, known, picked, beat)
        found += _grouped(action, kind, rows, held, vectors, times, _ALIKE, strict=True, beat=beat)
    taken = {row for one in found for row in one.rows}
    rows = _eligible_rows(held, ActionKind.GENERALISE, known, _tells, beat)
    rows = [row for row in rows if row not in taken]
    topics = _grouped(
        ActionKind.GENERALISE,
        Kind.SEMANTIC,
        rows,
        held,
        vectors,
        times,
        TOPIC,
        strict=False,
        beat=beat,
    )
    topics.sort(key=lambda one: (-len(one.rows), one.rows))
    return found + topics[: max(1, len(held) // _SHARE)]


def _tells(memory: Memory) -> bool:
    return telling(memory.content, None).told >= _TOLD


def _eligible_rows(
    held: Sequence[Held],
    action: ActionKind,
    known: Mapping[str, frozenset[ActionKind]],
    picked: Callable[[Memory], bool],
    beat: Callable[[], object],
) -> list[int]:
    rows = []
    for row, item in enumerate(held):
        if _eligible(item, action, known, picked):
            rows.append(row)
        if row % _PIECE == 0:
            beat()
    return rows


def _eligible(
    item: Held,
    action: ActionKind,
    known: Mapping[str, frozenset[ActionKind]],
    picked: Callable[[Memory], bool],
) -> bool:
    memory = item.memory
    return (
        memory.kind is Kind.EPISODIC
        and item.vector is not None
        and action not in known.get(memory.id, ())
        and picked(memory)
    )


def _grouped(
    action: ActionKind,
    kind: Kind,
    rows: Sequence[int],
    held: Sequence[Held],
    vectors: Vector,
    times: Mapping[str, int],
    cosine: float,
    *,
    strict: bool,
    beat: Callable[[], object],
) -> list[Recurring]:
    if not rows:
        return []
    mine = vectors[list(rows)]
    memories = [held[row].memory for row in rows]
    pairs, _ = near_pairs(mine, cosine=cosine, beat=beat)
    near: dict[int, set[int]] = defaultdict(set)
    for number, (left, right) in enumerate(_of_one(memories, pairs).tolist()):
        if number % _PIECE == 0:
            beat()
        if not strict or _mean_the_same(memories[left], memories[right]):
            near[left].add(right)
            near[right].add(left)
    made = []
    for star in _stars(len(rows), near):
        count = sum(times.get(memories[i].id, 1) for i in star)
        if count < _FEWEST[action]:
            continue
        members = tuple(sorted((rows[i] for i in star), key=lambda row: held[row].memory.position))
        days = len({day_of(held[row].memory) for row in members})
        if strict or days >= _TOPIC_DAYS:
            block = vectors[list(members)]
            text = quoted(action, kind, [held[row].memory for row in members], block)
            least = float((block @ block[0]).min())
            made.append(Recurring(action, kind, members, text, count, days, least))
    return made


def _of_one(memories: Sequence[Memory], pairs: Pairs) -> Pairs:
    """Those pairs, shape (m, 2), whose memories are of one user, agent and speaker."""
    known: dict[tuple[str | None, ...], int] = {}
    scopes = np.array(
        [known.setdefault((m.user_id, m.agent_id, m.speaker), len(known)) for m in memories],
        np.int64,
    )
    return np.asarray(pairs[scopes[pairs[:, 0]] == scopes[pairs[:, 1]]])


def _mean_the_same(one: Memory, other: Memory) -> bool:
    return compatible(wording(text_of(one)), wording(text_of(other)))


def _stars(count: int, near: Mapping[int, set[int]]) -> list[list[int]]:
    """Each row in one star at most: the largest first, what it took is no centre any more."""
    left = set(range(count))
    found = []
    for centre in sorted(range(count), key=lambda row: (-len(near.get(row, ())), row)):
        if centre in left:
            star = [centre, *sorted(near.get(centre, set()) & left)]
            left -= set(star)
            found.append(star)
    return found
