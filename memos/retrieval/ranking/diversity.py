"""Maximal marginal relevance: an order in which each next item is relevant and not yet said.

J. Carbonell and J. Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents
and Producing Summaries" (SIGIR 1998). Knows scores and vectors only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memos.retrieval.projection.columns import Rows

if TYPE_CHECKING:
    from memos.protocols import Vector


def diversified(
    scores: NDArray[np.float32], vectors: Vector, *, balance: float, limit: int
) -> Rows:
    """Indices of `limit` items. `balance` 1 is relevance alone, 0 diversity alone.

    `scores` (n,) are put in [0, 1]; `vectors` (n, dimensions) have length 1, or 0 where there is
    none, which is like nothing else.
    """
    count = len(scores)
    if not count:
        return np.zeros(0, np.int64)
    low, high = float(scores.min()), float(scores.max())
    relevance = (scores - low) / (high - low) if high > low else np.ones(count, np.float32)
    nearest = np.zeros(count, np.float32)
    left = np.ones(count, np.bool_)
    chosen: list[int] = []
    for _ in range(min(limit, count)):
        gain = balance * relevance - (1 - balance) * nearest
        best = int(np.argmax(np.where(left, gain, -np.inf)))
        chosen.append(best)
        left[best] = False
        np.maximum(nearest, vectors @ vectors[best], out=nearest)
    return np.array(chosen, np.int64)
