"""The memories of a summary as passages: their vectors and weights from the projection.

A passage's weight is what its terms tell, the sum of their idf, tamed by its root; a question
weighs a third. Memories that are not live or have no vector yet are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memos.retrieval.projection.projection import Projections
from memos.retrieval.reading.analysis import QUESTION, analyze, text_of
from memos.summaries.extractive import sentence, telling
from memos.types import Memory

if TYPE_CHECKING:
    from memos.protocols import Vector

_QUESTION_WEIGHT = 0.3
_ENOUGH_TERMS = 2
"""A greeting tells nothing."""


@dataclass(frozen=True, slots=True)
class Passages:
    """`vectors` (n, dimensions) and `weights` (n,) of n memories; `rare`: idf by term."""

    memories: tuple[Memory, ...]
    vectors: Vector
    weights: NDArray[np.float64]
    rare: Mapping[str, float]

    def between(self, start: int, end: int) -> Passages:
        """Those from place `start` on, before place `end`."""
        return Passages(
            self.memories[start:end],
            self.vectors[start:end],
            self.weights[start:end],
            self.rare,
        )

    def chosen(
        self, limit: int, boost: NDArray[np.float64] | None = None
    ) -> tuple[tuple[Memory, ...], tuple[str, ...]]:
        """At most `limit` memories in order, and the sentence of each that tells most. `boost`
        (n,) multiplies their weights."""
        weights = self.weights if boost is None else self.weights * boost
        if not weights.any():
            return (), ()
        memories = tuple(self.memories[i] for i in telling(self.vectors, weights, limit).tolist())
        return memories, tuple(sentence(memory.content, self.rare) for memory in memories)


def passages(projections: Projections, cube_id: str, memories: Sequence[Memory]) -> Passages:
    """Of memories in the order given."""
    terms = [set(analyze(text_of(memory))) for memory in memories]
    with projections.fresh(cube_id) as projection:
        has = projection.vectors.has
        rows = [projection.row(memory.id) for memory in memories]
        keep = [i for i, row in enumerate(rows) if row is not None and has[row]]
        vectors = projection.vectors.take(np.array([rows[i] for i in keep], np.int64))
        count = len(projection)
        wanted = sorted({term for i in keep for term in terms[i]} - {QUESTION})
        held = projection.lexical.held(wanted)
    rare = {
        term: math.log(1 + (count - df + 0.5) / (df + 0.5))
        for term, df in zip(wanted, held, strict=True)
    }
    weights = np.array([_weight(terms[i], rare) for i in keep], np.float64)
    return Passages(tuple(memories[i] for i in keep), vectors, weights, rare)


def line(memory: Memory, said: str) -> str:
    """A quoted sentence with who said it."""
    return f"{memory.speaker}: {said}" if memory.speaker else said


def days(memories: Sequence[Memory]) -> str:
    """The day or days that memories are of, such as "2023-05-08 to 2023-05-09", in UTC."""
    at = sorted(_day(m.occurred_at or m.created_at) for m in memories)
    return at[0] if at[0] == at[-1] else f"{at[0]} to {at[-1]}"


def _day(at: datetime) -> str:
    return at.astimezone(timezone.utc).date().isoformat()


def _weight(terms: set[str], rare: Mapping[str, float]) -> float:
    words = sorted(terms - {QUESTION})
    if len(words) < _ENOUGH_TERMS:
        return 0.0
    told = math.sqrt(sum(rare[word] for word in words))
    return told * (_QUESTION_WEIGHT if QUESTION in terms else 1.0)
