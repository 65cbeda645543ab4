"""The vectors of a cube in RAM, and who is nearest to a query: exactly, or by way of an index.

Cosine is the dot product, since all vectors have length 1. A row without a vector is all zeros and
never nearest. Knows rows and vectors; the choice between exact and approximate is made here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memos.errors import EmbeddingModelChanged
from memos.retrieval.projection.columns import Mask, Rows, grown
from memos.retrieval.projection.timeline import Timeline

if TYPE_CHECKING:
    from memos.protocols import Vector

KERNEL = (1.0, 0.25)
"""Weight of the cosine 0 and 1 memories away, in the evidence of a window; normalised."""

_MAX_EXPECTED = 1_000_000
_BLOCK = 64
_CHUNK = 512  # rows gathered at once: 384 floats each stay within a core's cache


class Vectors:
    """float32 matrix (rows, dimensions); `has[row]` says whether the row has a vector."""

    def __init__(self) -> None:
        self.matrix: Vector = np.zeros((0, 0), np.float32)
        self.has: Mask = np.zeros(0, np.bool_)
        self._expected = 0

    def expect(self, rows: int) -> None:
        """How many rows are to come, so that a load does not copy the matrix as it grows.

        Memory is taken when rows are written, so that a guess too high costs nothing.
        """
        self._expected = min(rows, _MAX_EXPECTED)

    def check(self, vectors: Sequence[Vector | None]) -> None:
        """EmbeddingModelChanged if they differ in dimensions from each other or from the matrix."""
        widths = {vector.shape[-1] for vector in vectors if vector is not None}
        widths |= {self.matrix.shape[1]} - {0}
        if len(widths) > 1:
            raise EmbeddingModelChanged(
                f"the cube holds vectors of {sorted(widths)} dimensions; "
                "run `memos reindex --embed` on it",
                dimensions=sorted(widths),
            )

    def put(self, rows: Rows, vectors: Sequence[Vector | None]) -> None:
        """Sets the rows' vectors, which have passed `check`."""
        size = int(rows.max()) + 1
        self.has = grown(self.has, size, False)
        given = {i: vector for i, vector in enumerate(vectors) if vector is not None}
        there = list(given)
        self.has[rows] = False
        if there:
            block = np.stack(list(given.values()))
            self._reserve(size, block.shape[1])
            self.matrix[rows[there]] = block
            self.has[rows[there]] = True
        if len(there) < len(rows) and self.matrix.shape[1]:
            self._reserve(size, self.matrix.shape[1])
            self.matrix[rows[~self.has[rows]]] = 0

    def remove(self, rows: Rows) -> None:
        self.has[rows] = False
        if self.matrix.shape[1]:
            self.matrix[rows[rows < len(self.matrix)]] = 0

    def dot(self, rows: Rows, query: Vector) -> NDArray[np.float32]:
        """Cosines of some rows, shape (len(rows),); row -1 gives 0."""
        result = np.zeros(len(rows), np.float32)
        if not self.matrix.shape[1]:
            return result
        buffer = np.empty((min(_CHUNK, len(rows)), self.matrix.shape[1]), np.float32)
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            block = buffer[: len(part)]
            np.take(self.matrix, part, axis=0, out=block, mode="wrap")
            _cosines(block, query, result[start : start + _CHUNK])
        return result

    def take(self, rows: Rows) -> Vector:
        """The vectors of some rows, shape (len(rows), dimensions)."""
        if not self.matrix.shape[1]:
            return np.zeros((len(rows), 1), np.float32)
        return self.matrix[rows]

    def nearest(self, query: Vector, allowed: Mask, limit: int) -> Rows:
        """The `limit` allowed rows of highest cosine, best first; exact."""
        size = min(len(allowed), len(self.matrix))
        usable = allowed[:size] & self.has[:size]
        rows = np.flatnonzero(usable)
        if not len(rows):
            return rows
        if 3 * len(rows) > size:
            cosines = _cosines(self.matrix[:size], query)[rows]
        else:
            cosines = self.dot(rows, query)
        return rows[top(cosines, limit)]

    def around(self, rows: Rows, query: Vector, timeline: Timeline) -> NDArray[np.float32]:
        """Cosines of each row, the one before and the one after, shape (3, rows); 0 for none."""
        there = np.concatenate([rows, timeline.before[rows], timeline.after[rows]])
        return self.dot(there, query).reshape(3, -1)

    def windows(self, rows: Rows, query: Vector, timeline: Timeline) -> NDArray[np.float32]:
        """Cosine of each row, smoothed over its direct neighbours."""
        return smoothed(self.around(rows, query, timeline), rows, timeline)

    @property
    def nbytes(self) -> int:
        """What is in use; capacity beyond has not been written and is not resident."""
        used = int(np.count_nonzero(self.has))
        return int(used * self.matrix.shape[1] * 4 + self.has.nbytes)

    def _reserve(self, size: int, dimensions: int) -> None:
        if not self.matrix.shape[1]:
            self.matrix = np.zeros((self._expected + 1, dimensions), np.float32)
        self.matrix = grown(self.matrix, size, 0)


def smoothed(cosines: NDArray[np.float32], rows: Rows, timeline: Timeline) -> NDArray[np.float32]:
    """The window's cosine from those of `Vectors.around`.

    The same as the dot product with the weighted mean vector of the window, at no extra vector.
    """
    beside = (timeline.before[rows] >= 0).astype(np.float32) + (timeline.after[rows] >= 0)
    total = KERNEL[0] * cosines[0] + KERNEL[1] * (cosines[1] + cosines[2])
    return np.asarray(total / (KERNEL[0] + KERNEL[1] * beside), np.float32)


def _cosines(
    block: Vector, query: Vector, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    # BLAS would use its threads here, which wait busily for each other and for those of the
    # embedder: on two busy cores 0.1 ms became 8 ms. One thread reads memory fast enough.
    return np.asarray(np.einsum("ij,j->i", block, query, out=out), np.float32)


def top(scores: NDArray[np.float32], limit: int, *, above: float = -np.inf) -> Rows:
    """Indices of the `limit` highest scores, best first; earlier ones first among equals.

    Only scores higher than `above` count.
    """
    chosen = np.flatnonzero((scores >= _floor(scores, limit)) & (scores > above))
    if limit < len(chosen):
        left = scores[chosen]
        # All that reach the limit-th score, so that ties do not depend on the partition.
        chosen = chosen[left >= np.partition(left, len(left) - limit)[len(left) - limit]]
    return chosen[np.argsort(-scores[chosen], kind="stable")][:limit]


def _floor(scores: NDArray[np.float32], limit: int) -> float:
    """A score that the `limit` best reach: the limit-th best of the maxima of blocks.

    So that only few need be partitioned, which is what costs.
    """
    blocks = len(scores) // _BLOCK
    if blocks <= 2 * limit:
        return -np.inf
    best = scores[: blocks * _BLOCK].reshape(blocks, _BLOCK).max(axis=1)
    return float(np.partition(best, blocks - limit)[blocks - limit])
