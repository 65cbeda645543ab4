"""Pairs of vectors that are near each other, without comparing all with all.

Random hyperplanes (Charikar, "Similarity Estimation Techniques from Rounding Algorithms", STOC
2002): the signs of a vector's products with random vectors make a word; near vectors share most of
its bits. For each of several tables of such words the rows are sorted, and each is compared with
the few that follow it (sorted neighbourhood: Hernández and Stolfo, "The Merge/Purge Problem for
Large Databases", SIGMOD 1995). So n rows cost n log n to sort and n to compare, however many of
them are alike. Knows vectors; not what they stand for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from memos.protocols import Vector

Pairs = NDArray[np.int64]

TABLES = 16
WINDOW = 6
"""Rows that each row is compared with, in each table."""
_BITS = 24
_PART = 2048
_SEED = 20_240_501
"""Fixed, so that two runs over the same vectors plan the same."""


def near_pairs(
    vectors: Vector,
    *,
    cosine: float,
    tables: int = TABLES,
    window: int = WINDOW,
    beat: Callable[[], object] = lambda: None,
) -> tuple[Pairs, NDArray[np.float32]]:
    """Pairs (i < j), shape (m, 2), of at least `cosine`, and their cosines; each pair once.

    `vectors` (n, dimensions) have length 1, or 0 for those without one. A pair can be missed, with
    a chance that falls with its cosine; none is wrong. `beat` is called every few milliseconds.
    """
    count, width = vectors.shape
    if count < 2:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.float32)
    chance = np.random.default_rng(_SEED)
    found: list[Pairs] = []
    for _ in range(tables):
        planes = chance.standard_normal((width, _BITS)).astype(np.float32)
        order = np.argsort(_words(vectors, planes, beat), kind="stable")
        found.append(_close(vectors, order, window, cosine, beat))
    pairs = _once(np.concatenate(found), count)
    return pairs, _cosines(vectors, pairs)


def _once(pairs: Pairs, count: int) -> Pairs:
    """Each pair of rows below `count` once, in order; as one number each, which sorts faster than
    rows of two do."""
    numbers = np.unique(pairs[:, 0] * count + pairs[:, 1])
    return np.stack(np.divmod(numbers, count), axis=1)


def _words(vectors: Vector, planes: Vector, beat: Callable[[], object]) -> NDArray[np.int64]:
    """One word of bits per row."""
    weights = 1 << np.arange(planes.shape[1], dtype=np.int64)
    words = np.zeros(len(vectors), np.int64)
    for start in range(0, len(vectors), _PART):
        words[start : start + _PART] = (vectors[start : start + _PART] @ planes > 0) @ weights
        beat()
    return words


def _close(
    vectors: Vector, order: Pairs, window: int, cosine: float, beat: Callable[[], object]
) -> Pairs:
    found: list[Pairs] = [np.zeros((0, 2), np.int64)]
    for start in range(0, len(order), _PART):
        rows = order[start : start + _PART + window]
        block = vectors[rows]
        for step in range(1, window + 1):
            here = min(_PART, len(rows) - step)
            if here <= 0:
                break
            near = np.einsum("ij,ij->i", block[:here], block[step : step + here]) >= cosine
            left, right = rows[:here][near], rows[step : step + here][near]
            found.append(np.stack([np.minimum(left, right), np.maximum(left, right)], axis=1))
        beat()
    return np.concatenate(found)


def _cosines(vectors: Vector, pairs: Pairs) -> NDArray[np.float32]:
    found = np.zeros(len(pairs), np.float32)
    for start in range(0, len(pairs), _PART):
        left, right = pairs[start : start + _PART].T
        found[start : start + _PART] = np.einsum("ij,ij->i", vectors[left], vectors[right])
    return found
