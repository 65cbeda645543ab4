"""What recurs: topics over many days, instructions and corrections, preferences.

A group is a star (Aslam, Pelekhov and Rus, "The Star Clustering Algorithm", 2004): a centre and
what is near it, so that no chain of small steps joins what has nothing in common. What is made of
a group quotes its members and adds nothing. Rules for English. Pure; knows no store.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memos.consolidation.neighbours import Pairs, near_pairs
from memos.consolidation.wording import compatible, wording
from memos.protocols import Held
from memos.retrieval.analysis import text_of
from memos.retrieval.telling import telling
from memos.summaries.extractive import central, sentence
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
_QUOTED = 3
_PIECE = 256
_SHARE = 50
"""At most one memory of a topic is made of so many."""

_INSTRUCTION = re.compile(
    r"(?:^|[.!?]\s+)(?:please\s+)?(?:always|never|from now on|in future|in the future|going forward"
    r"|next time|whenever|remember to|make sure|be sure to|don'?t|do not|stop|avoid"
    r"|use|call me|address me|answer|reply|write|keep)\b",
    re.IGNORECASE,
)
_CORRECTION = re.compile(
    r"\b(?:no,|that'?s (?:wrong|not right|not what)|i (?:told|asked) you|i said|as i said before"
    r"|not like that|again, (?:please )?|i meant)\b",
    re.IGNORECASE,
)
_PREFERENCE = re.compile(
    r"\bi(?:'m| am)?\s+(?:(?:really|always|still|absolutely|just)\s+)*"
    r"(?:like|love|enjoy|prefer|hate|dislike|can'?t stand|adore|allergic|vegetarian|vegan"
    r"|a (?:fan|big fan) of)\b|\bmy favou?rite\b|\bi (?:don'?t|do not) (?:like|eat|drink)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Recurring:
    """Rows that a memory of `kind` is to be made of, with its text. `times` counts what was merged
    into the rows too; `days` are those of the rows."""

    action: ActionKind
    kind: Kind
    rows: tuple[int, ...]
    text: str
    times: int
    days: int
    cosine: float


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


def is_instruction(memory: Memory) -> bool:
    """Whether it tells an agent how to do things, or corrects how it did them."""
    text = memory.content
    return (
        len(text) < 300
        and not text.rstrip().endswith("?")
        and bool(_INSTRUCTION.search(text) or _CORRECTION.search(text))
    )


def is_preference(memory: Memory) -> bool:
    """Whether somebody says what they like, can't stand, or must not have."""
    text = memory.content
    return len(text) < 300 and not text.rstrip().endswith("?") and bool(_PREFERENCE.search(text))


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
        days = len({_day(held[row].memory) for row in members})
        if strict or days >= _TOPIC_DAYS:
            block = vectors[list(members)]
            text = composed(action, [held[row].memory for row in members], block)
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


def composed(action: ActionKind, members: Sequence[Memory], vectors: Vector) -> str:
    """The text made of `members`, in order of arrival; `vectors` (n, dimensions) are theirs.

    An instruction or a preference as it was put last; of a topic the sentences that say most of it,
    with the days.
    """
    if action is not ActionKind.GENERALISE:
        newest = max(members, key=lambda m: (m.occurred_at or m.created_at, m.position))
        return attributed(newest, " ".join(newest.content.split()))
    weights: NDArray[np.float64] = np.array(
        [1.0 + telling(m.content, None).told for m in members], np.float64
    )
    best = np.argsort(-central(vectors, weights), kind="stable")[:_QUOTED]
    lines = list(dict.fromkeys(sentence(members[i].content) for i in sorted(best.tolist())))
    return attributed(members[0], f"{_span(members)}: {' … '.join(lines)}")


def attributed(memory: Memory, text: str) -> str:
    return f"{memory.speaker}: {text}" if memory.speaker else text


def _span(members: Sequence[Memory]) -> str:
    days = sorted(_day(memory) for memory in members)
    said = f"{days[0].isoformat()} to {days[-1].isoformat()}"
    return days[0].isoformat() if days[0] == days[-1] else said


def _day(memory: Memory) -> date:
    at: datetime = memory.occurred_at or memory.created_at
    return at.astimezone(timezone.utc).date()
