"""What a query finds in a projection: candidates of all channels, fused into one order.

Asks nothing of the truth and runs no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memos.config import Settings
from memos.retrieval.filtering.permission import Permission
from memos.retrieval.projection.columns import Rows
from memos.retrieval.projection.projection import Projection
from memos.retrieval.ranking.candidates import POOL, WIDTH, CandidateFinder, Candidates
from memos.retrieval.ranking.diversity import diversified
from memos.retrieval.ranking.fit import Fit, default
from memos.retrieval.ranking.fusion import Fused, base_of, fitted, matrix_of, summed, with_graph
from memos.retrieval.ranking.nearness import near, nearest, nearness
from memos.retrieval.ranking.reranking import READ
from memos.retrieval.ranking.routing import EASY, difficulty
from memos.retrieval.reading.query import Reading
from memos.types import Search

if TYPE_CHECKING:
    from memos.graph.network.projections import GraphProjections
    from memos.protocols import Vector

SPARE = 4
"""Fetched beyond what is wanted, for those that the last check drops."""


@dataclass(frozen=True, slots=True)
class Found:
    """Candidates in order, detached from the projection: `at` is the place in `fused`."""

    fused: Fused
    items: tuple[tuple[str, int, int], ...]
    """(memory id, version, at)"""
    considered: int
    degraded: str | None
    hard: bool
    """Worth a look of the reranker."""


@dataclass(frozen=True, slots=True)
class Examined:
    """Candidates by memory id; `matrix` has their features, `plain` their plain sum, `base` what a
    fit keeps of it, `graph` how near they are to what the query names."""

    ids: tuple[str, ...]
    plain: Fused
    base: NDArray[np.float32]
    matrix: NDArray[np.float32]
    graph: NDArray[np.float32]


class Gathering:
    """`graph` holds the facts around what a query names. `reranked`: a model has the last look at
    hard queries, and needs more than what is asked for."""

    def __init__(
        self, settings: Settings, graph: GraphProjections | None, *, reranked: bool
    ) -> None:
        self._settings = settings
        self._graph = graph
        self._reranked = reranked
        self.fit: Fit | None = None if settings.fusion == "plain" else default()
        """Weights of the fusion; None: the plain sum."""

    def gather(
        self,
        cube_id: str,
        projection: Projection,
        finder: CandidateFinder,
        permission: Permission,
        reading: Reading,
        vector: Vector | None,
        *,
        walking: bool,
    ) -> Found:
        """The best candidates that may be returned; with `walking` also those near what the query
        names in the graph."""
        request = permission.request
        allowed = permission.rows(projection.columns)
        limit = max(WIDTH, 2 * request.limit)
        found = finder.find(cube_id, projection, reading, vector, allowed, limit=limit)
        fused = summed(found, projection, reading)
        if self._settings.graph_weight and walking:
            found, fused = self._walked(
                cube_id, projection, finder, reading, found, fused, request.as_of
            )
        hard = difficulty(fused.scores) > EASY
        if self.fit is not None:
            fused = fitted(fused, found, projection, reading, self.fit)
        position = projection.columns.numbers["position"][found.rows]
        order = np.lexsort((position, -fused.scores))
        if request.mmr is not None:
            order = _spread(order, fused, projection, request)
        if not reading.exact:
            order = order[: max(2 * request.limit, self.wanted(request, hard)) + SPARE]
        versions = projection.columns.version[found.rows[order]].tolist()
        ids = [projection.ids[row] for row in found.rows[order].tolist()]
        return Found(
            fused=fused,
            items=tuple(zip(ids, versions, order.tolist(), strict=True)),
            considered=int(np.count_nonzero(allowed)),
            degraded=found.degraded,
            hard=hard,
        )

    def examine(
        self,
        cube_id: str,
        projection: Projection,
        finder: CandidateFinder,
        permission: Permission,
        reading: Reading,
        vector: Vector | None,
    ) -> Examined:
        """All candidates with the plain sum and the features, which a fit is made from."""
        allowed = permission.rows(projection.columns)
        found = finder.find(cube_id, projection, reading, vector, allowed, limit=WIDTH)
        plain = summed(found, projection, reading)
        return Examined(
            ids=tuple(projection.ids[row] for row in found.rows.tolist()),
            plain=plain,
            base=base_of(plain),
            matrix=matrix_of(plain, found, projection, reading),
            graph=nearness(self._ranks(cube_id, projection, reading, None), found.rows),
        )

    def wanted(self, request: Search, hard: bool) -> int:
        """How many hits the truth must confirm. An order by diversity is not changed afterwards."""
        if not self._reranked or not hard or request.mmr is not None:
            return request.limit
        return max(request.limit, READ)

    def _walked(
        self,
        cube_id: str,
        projection: Projection,
        finder: CandidateFinder,
        reading: Reading,
        found: Candidates,
        plain: Fused,
        as_of: datetime | None,
    ) -> tuple[Candidates, Fused]:
        """With what the graph finds near the things that the query names. An easy query does
        without, and so does one that names nothing known, or whose graph is too large for RAM."""
        if difficulty(plain.scores) <= EASY:
            return found, plain
        ranks = self._ranks(cube_id, projection, reading, as_of)
        if not ranks:
            return found, plain
        if not reading.exact:
            found = finder.widened(found, nearest(ranks), projection)
            plain = summed(found, projection, reading)
        return found, with_graph(plain, nearness(ranks, found.rows), self._settings.graph_weight)

    def _ranks(
        self, cube_id: str, projection: Projection, reading: Reading, as_of: datetime | None
    ) -> Mapping[int, float]:
        if self._graph is None:
            return {}
        with self._graph.fresh(cube_id) as graph:
            if graph is None:
                return {}
            return near(graph, projection, reading.query.dense_text, as_of)


def _spread(order: Rows, fused: Fused, projection: Projection, request: Search) -> Rows:
    """The best candidates in the order of maximal marginal relevance."""
    assert request.mmr is not None
    best = order[: min(max(POOL, 2 * request.limit), request.limit + 200)]
    vectors = projection.vectors.take(fused.rows[best])
    chosen = diversified(
        fused.scores[best], vectors, balance=request.mmr, limit=request.limit + SPARE
    )
    return best[chosen]
