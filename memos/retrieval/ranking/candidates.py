"""From a query to candidates with their raw scores: lexical and dense, over the allowed rows.

Small cubes and narrow scopes are searched exactly. In large ones a vector index proposes, and what
changed since the index was built is looked at exactly, so that an index that lags loses nothing;
every cosine is then taken from the projection's own vectors. Knows no priors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memos.errors import StorageError
from memos.protocols import VectorIndex
from memos.retrieval.projection.columns import Mask, Rows
from memos.retrieval.projection.dense import smoothed, top
from memos.retrieval.projection.projection import Projection
from memos.retrieval.reading.analysis import QUESTION, analyze
from memos.retrieval.reading.query import Reading
from memos.types import ParsedQuery

if TYPE_CHECKING:
    from memos.protocols import Vector

POOL = 50
"""The best this many of each channel calibrate it."""
WIDTH = 100
"""At least this many of each channel are scored."""
MAX_PROPOSED = 1000
"""Asking an index for more than this costs more than looking at everything."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows with raw scores; `core` marks the best of either channel, which calibrate both.

    `session` is NaN for memories of no session; `cosines` are those of `Vectors.around`, of which
    `dense` is made. `phrase` marks those that hold the words of the query's phrases in their order.
    `degraded` says what could not be used. `reach` is for `CandidateFinder.widened`.
    """

    rows: Rows
    lexical: NDArray[np.float32]
    session: NDArray[np.float32]
    dense: NDArray[np.float32] | None
    cosines: NDArray[np.float32] | None
    core: Mask
    phrase: Mask
    degraded: str | None
    reach: Reach


@dataclass(frozen=True, slots=True)
class Reach:
    """Lexical scores of all rows, those of all sessions by chain code, and who may be found."""

    lexical: NDArray[np.float32]
    sessions: NDArray[np.float32]
    allowed: Mask
    vector: Vector | None


class CandidateFinder:
    """`index` gives the vector index, or None while it is not open yet; None: there is none."""

    def __init__(self, index: Callable[[], VectorIndex | None] | None, *, index_min: int) -> None:
        self._index = index
        self._index_min = index_min

    def find(
        self,
        cube_id: str,
        projection: Projection,
        reading: Reading,
        vector: Vector | None,
        allowed: Mask,
        *,
        limit: int,
    ) -> Candidates:
        """The `limit` best allowed rows of each channel, and those that may hold the phrases.

        `exact`: only the latter. `vector` None: no dense channel.
        """
        size = projection.columns.size
        query = reading.query
        found = projection.lexical.find(query.terms)
        scores = projection.lexical.windows(found, projection.timeline, size)
        holding = np.zeros(0, np.int64)
        if query.phrases:
            holds = allowed & _may_hold(projection, query, size)
            holding = np.flatnonzero(holds)
            if reading.exact:
                allowed = holds
        lexical = top(scores * allowed, limit, above=0.0)
        dense, degraded = np.zeros(0, np.int64), None
        if vector is not None:
            dense, degraded = self._nearest(cube_id, projection, vector, allowed, limit)
        rows = np.union1d(lexical, dense)
        best = holding if reading.exact else holding[top(scores[holding], limit)]
        rows = np.union1d(rows, best)
        chains = projection.columns.chain.codes
        return _scored(
            rows,
            Reach(scores, projection.lexical.sessions(found, chains, size), allowed, vector),
            projection,
            core=np.concatenate([lexical[:POOL], dense[:POOL]]),
            phrase=best,
            degraded=degraded,
        )

    def widened(self, found: Candidates, more: Rows, projection: Projection) -> Candidates:
        """With those of `more` that may be found; read the projection under the same lock."""
        more = more[more < len(found.reach.allowed)]
        more = more[found.reach.allowed[more]]
        return _scored(
            np.union1d(found.rows, more),
            found.reach,
            projection,
            core=found.rows[found.core],
            phrase=found.rows[found.phrase],
            degraded=found.degraded,
        )

    def _nearest(
        self, cube_id: str, projection: Projection, vector: Vector, allowed: Mask, limit: int
    ) -> tuple[Rows, str | None]:
        if self._index is not None and len(projection) >= self._index_min:
            count = int(np.count_nonzero(allowed))
            share = int(1.2 * limit * len(projection) / max(count, 1)) + 10
            if count >= self._index_min and share <= MAX_PROPOSED:
                try:
                    found = self._proposed(cube_id, projection, vector, allowed, limit, share)
                except StorageError as error:
                    # Damaged, full, or held by another process: the answer is the same, slower.
                    _log.warning("searched cube %s exactly: %s", cube_id, error)
                    exact = projection.vectors.nearest(vector, allowed, limit)
                    return exact, f"the vector index could not answer ({error})"
                if found is not None:
                    return found, None
        return projection.vectors.nearest(vector, allowed, limit), None

    def _proposed(
        self,
        cube_id: str,
        projection: Projection,
        vector: Vector,
        allowed: Mask,
        limit: int,
        share: int,
    ) -> Rows | None:
        """None where the index is not open yet, lags too far, knows too few that are allowed, or is
        ahead: by a moment, or of a database that was restored from before."""
        assert self._index is not None
        index = self._index()
        if index is None:
            return None
        reached = index.reached(cube_id)
        if reached > projection.seq:
            return None
        seq = projection.columns.seq[: len(allowed)]
        changed = np.flatnonzero((seq > reached) & allowed)
        if len(changed) > self._index_min:
            return None
        rows = [projection.row(found) for found, _ in index.query(cube_id, vector, limit=share)]
        known = np.array([r for r in rows if r is not None], np.int64)
        known = known[known < len(allowed)]
        both = np.union1d(known[allowed[known]], changed)
        both = both[projection.vectors.has[both]]
        if len(both) < limit:
            return None
        return both[top(projection.vectors.dot(both, vector), limit)]


def _scored(
    rows: Rows,
    reach: Reach,
    projection: Projection,
    *,
    core: Rows,
    phrase: Rows,
    degraded: str | None,
) -> Candidates:
    chain = projection.columns.chain.codes[rows]
    cosines = None
    if reach.vector is not None:
        cosines = projection.vectors.around(rows, reach.vector, projection.timeline)
    return Candidates(
        rows=rows,
        lexical=reach.lexical[rows],
        session=np.where(chain > 0, reach.sessions[chain], np.float32(np.nan)),
        dense=None if cosines is None else smoothed(cosines, rows, projection.timeline),
        cosines=cosines,
        core=_members(rows, core),
        phrase=_members(rows, phrase),
        degraded=degraded,
        reach=reach,
    )


def _members(rows: Rows, some: Rows) -> Mask:
    """Which of `rows`, sorted, are among `some`, all of which are among `rows`."""
    mask = np.zeros(len(rows), np.bool_)
    mask[np.searchsorted(rows, some)] = True
    return mask


def _may_hold(projection: Projection, query: ParsedQuery, size: int) -> Mask:
    """Rows whose terms hold those of every phrase; the texts themselves are looked at last.

    A phrase of stop words alone excludes nothing here.
    """
    mask = np.ones(size, np.bool_)
    for phrase in query.phrases:
        terms = [term for term in analyze(phrase) if term != QUESTION]
        if terms:
            holds = np.zeros(size, np.bool_)
            holds[projection.lexical.phrase(terms)] = True
            mask &= holds
    return mask
