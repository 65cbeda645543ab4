"""Memories that say the same, in groups: by their words, by their vectors, by what they assert.

Only memories of one user, agent, speaker and kind can be of one family. What happened is the same
only if it was said on the same day; what is so, whenever it was said. Pure; knows no store.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timezone
from typing import TYPE_CHECKING, Any

import numpy as np

from memos.consolidation.neighbours import near_pairs
from memos.consolidation.wording import Wording, agree, compatible, wording
from memos.protocols import Held, Said
from memos.retrieval.reading.analysis import text_of
from memos.types import Memory

if TYPE_CHECKING:
    from memos.protocols import Vector

NEAR = 0.9
"""Cosine from which texts with a slip of the finger may be the same."""
_ALIKE = 0.2
"""Cosine below which texts are not the same whatever their words or assertions."""
_FEWEST_WORDS = 3
"""Shorter texts, such as thanks, answer to what stands before them and are left alone."""
_PIECE = 256
"""Rows between two beats."""
_COVERED = 0.6
"""Share of a text that its assertions must cover, for them to be all that it says."""


@dataclass(frozen=True, slots=True)
class Family:
    """Rows that say the same; `head` stands for the others. `by` says how it was found."""

    head: int
    others: tuple[int, ...]
    by: str
    cosine: float


_DAY = 6
"""Where the day stands in what two memories must have in common."""


class Groups:
    """Union of sets of rows, by size (Tarjan, 1975)."""

    def __init__(self, count: int) -> None:
        self._up = list(range(count))
        self._size = [1] * count

    def find(self, row: int) -> int:
        while self._up[row] != row:
            self._up[row] = self._up[self._up[row]]
            row = self._up[row]
        return row

    def join(self, one: int, other: int) -> None:
        one, other = self.find(one), self.find(other)
        if one == other:
            return
        if self._size[one] < self._size[other]:
            one, other = other, one
        self._up[other] = one
        self._size[one] += self._size[other]


def families(
    held: Sequence[Held],
    vectors: Vector,
    said: Mapping[str, Sequence[Said]],
    *,
    beat: Callable[[], object] = lambda: None,
) -> list[Family]:
    """All families of two rows at least, by their heads. `vectors` (n, dimensions) are the rows of
    `held`, zeros where there is none; `said` by memory id."""
    forms = []
    for row, item in enumerate(held):
        forms.append(wording(text_of(item.memory)))
        if row % _PIECE == 0:
            beat()
    same = [_same_of(item.memory, form) for item, form in zip(held, forms, strict=True)]
    beat()
    by_words: dict[Any, list[int]] = defaultdict(list)
    for row, (key, form) in enumerate(zip(same, forms, strict=True)):
        if key is not None:
            by_words[key, form.key].append(row)
    groups, how = Groups(len(held)), dict[int, str]()
    for rows in by_words.values():
        for row in rows[1:]:
            _join(groups, how, rows[0], row, "words")
    _by_claims(held, forms, same, said, vectors, groups, how, beat)
    beat()
    heads = [rows[0] for rows in by_words.values()]
    pairs, _ = near_pairs(vectors[heads], cosine=NEAR, beat=beat)
    for number, (left, right) in enumerate(pairs.tolist()):
        if number % (4 * _PIECE) == 0:
            beat()
        one, other = heads[left], heads[right]
        if same[one] == same[other] and agree(forms[one], forms[other]):
            _join(groups, how, one, other, "likeness")
    return _collected(held, forms, said, vectors, groups, how)


def _join(groups: Groups, how: dict[int, str], one: int, other: int, by: str) -> None:
    if groups.find(one) != groups.find(other):
        groups.join(one, other)
        how[other] = how[one] = by if by != "words" else how.get(one, by)


def _same_of(memory: Memory, form: Wording) -> tuple[Any, ...] | None:
    """What two memories must have in common besides their words; None: it is left alone."""
    if len(form.words) < _FEWEST_WORDS:
        return None
    day = None
    if (form.past or form.relative) and memory.occurred_at is not None:
        day = memory.occurred_at.astimezone(timezone.utc).date()
    captions = tuple(image.caption or image.url for image in memory.images)
    return (
        memory.kind,
        memory.user_id,
        memory.agent_id,
        memory.speaker,
        memory.place,
        memory.expires_at,
        day,
        captions,
    )


def covered(memory: Memory, said: Sequence[Said]) -> float:
    """Share of the text that its assertions cover, punctuation aside."""
    marks = np.zeros(len(memory.content), np.bool_)
    for one in said:
        marks[one.start : one.end] = True
    letters = np.array([char.isalnum() for char in memory.content], np.bool_)
    return float((marks & letters).sum() / max(1, letters.sum()))


def _by_claims(
    held: Sequence[Held],
    forms: Sequence[Wording],
    same: Sequence[tuple[Any, ...] | None],
    said: Mapping[str, Sequence[Said]],
    vectors: Vector,
    groups: Groups,
    how: dict[int, str],
    beat: Callable[[], object],
) -> None:
    """Texts in other words that assert the same and nothing else; or only a part of it."""
    by_claims: dict[Any, list[int]] = defaultdict(list)
    for row, item in enumerate(held):
        if row % _PIECE == 0:
            beat()
        claims = said.get(item.memory.id, ())
        if same[row] is not None and claims and covered(item.memory, claims) >= _COVERED:
            by_claims[same[row], frozenset(one.claim for one in claims)].append(row)

    def join(one: int, other: int) -> None:
        near = float(vectors[one] @ vectors[other]) >= _ALIKE
        if near and compatible(forms[one], forms[other]):
            _join(groups, how, one, other, "assertions")

    for rows in by_claims.values():
        for row in rows[1:]:
            join(rows[0], row)
    for small, large in _contained(by_claims, forms):
        join(large, small)


def _contained(
    by_claims: Mapping[Any, Sequence[int]], forms: Sequence[Wording]
) -> Iterator[tuple[int, int]]:
    """Rows that say how things are, each with the newest row that says all of that and more:
    "I live in Porto" beside "I moved to Porto"."""
    holding: dict[Any, dict[Any, int]] = defaultdict(dict)
    for (scope, claims), rows in by_claims.items():
        for claim in claims if len(claims) > 1 else ():
            holding[_dayless(scope), claim][scope, claims] = rows[-1]
    for (scope, claims), rows in by_claims.items():
        first, *others = [holding.get((_dayless(scope), claim), {}) for claim in claims]
        for key, large in first.items():
            more = len(key[1]) > len(claims) and all(key in other for other in others)
            if more and not forms[rows[0]].past and not forms[rows[0]].relative:
                yield rows[0], large
                break


def _dayless(scope: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*scope[:_DAY], *scope[_DAY + 1 :])


def _collected(
    held: Sequence[Held],
    forms: Sequence[Wording],
    said: Mapping[str, Sequence[Said]],
    vectors: Vector,
    groups: Groups,
    how: Mapping[int, str],
) -> list[Family]:
    found: dict[int, list[int]] = defaultdict(list)
    for row in sorted(how):
        found[groups.find(row)].append(row)

    def worth(row: int) -> tuple[Any, ...]:
        claims = len(said.get(held[row].memory.id, ()))
        return _worth(held[row], claims, len(forms[row].words))

    made = []
    for rows in found.values():
        head = max(rows, key=worth)
        near = [row for row in rows if row != head and _near(vectors, head, row)]
        if near:
            least = float((vectors[near] @ vectors[head]).min())
            made.append(Family(head, tuple(near), how[near[0]], least))
    return sorted(made, key=lambda family: family.head)


def _near(vectors: Vector, head: int, row: int) -> bool:
    """A memory without a vector yet is left for the next run."""
    return float(vectors[head] @ vectors[row]) >= _ALIKE


def _worth(item: Held, claims: int, words: int) -> tuple[Any, ...]:
    """Who stands for a family: what is pinned, what says more, what is newer."""
    memory = item.memory
    at = memory.occurred_at or memory.created_at
    return item.fixed, claims, words, memory.priority, at, memory.position
