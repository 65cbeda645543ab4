"""Search: read the query, embed it, find and score candidates, ask the truth, pack the hits.

No language model. The projection proposes; SQL makes the last check of state, expiry, scope, filter
and version, so that nothing stale leaks. An error of the feed, the truth, the embedder or the model
is raised as it is: an empty answer means that nothing matched. Only a vector index that can't
answer is done without, exactly and slower, which is logged and said in the explanation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memos.config import Settings
from memos.errors import EmbeddingModelChanged
from memos.protocols import ChangeFeed, Clock, Embedder, MemoryStore, VectorIndex
from memos.retrieval.analysis import text_of
from memos.retrieval.candidates import POOL, CandidateFinder
from memos.retrieval.columns import Rows
from memos.retrieval.diversity import diversified
from memos.retrieval.explanation import explained
from memos.retrieval.filters import parse_filter
from memos.retrieval.fusion import Fused, fuse
from memos.retrieval.packing import packed
from memos.retrieval.permission import Permission
from memos.retrieval.projection import Projection, Projections
from memos.retrieval.query import Reading, has_phrases, read
from memos.retrieval.request import check_search
from memos.retrieval.sizes import TokenCounts
from memos.types import Cube, Hit, Memory, Search, SearchResult

if TYPE_CHECKING:
    from memos.protocols import Vector

ATTEMPTS = 3
"""How often a search is done over when memories change between finding and fetching them."""

_SPARE = 4
"""Fetched beyond what is wanted, for those that the last check drops."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Candidates in order, detached from the projection: `at` is the place in `fused`."""

    fused: Fused
    items: tuple[tuple[str, int, int], ...]
    """(memory id, version, at)"""
    considered: int
    degraded: str | None


_Confirmed = list[tuple[int, Memory]]


class Searcher:
    """Searches cubes. Thread-safe. `index` gives the vector index, or None while it is not open."""

    def __init__(
        self,
        feed: ChangeFeed,
        memories: MemoryStore,
        embedder: Embedder,
        index: Callable[[], VectorIndex | None] | None,
        settings: Settings,
        *,
        clock: Clock,
    ) -> None:
        self._memories = memories
        self._embedder = embedder
        self._settings = settings
        self._clock = clock
        self._projections = Projections(feed, settings.projection_bytes)
        self._sizes = TokenCounts(embedder)
        self._finder = CandidateFinder(index, index_min=settings.vector_index_min)

    def search(self, cube: Cube, request: Search) -> SearchResult:
        """The hits, best first.

        InvalidInput, InvalidFilter for a request that can't be answered; EmbeddingModelChanged if
        the cube's vectors come from another model; CubeNotFound if it is gone; the backends' own.
        """
        begun = time.perf_counter()
        check_search(request, self._settings)
        permission = Permission(request, parse_filter(request.filter), self._clock())
        self._check_model(cube)
        reading, vector, seen, embed_ms = self._read(cube.id, permission)
        for attempt in range(ATTEMPTS):
            found = self._candidates(
                cube.id, permission, reading, vector, seen=seen if attempt == 0 else None
            )
            last_try = attempt == ATTEMPTS - 1
            confirmed = self._confirmed(cube.id, found, permission, reading, last_try=last_try)
            if confirmed is not None:
                break
        else:
            raise AssertionError("the last try confirms or drops")
        hits = self._hits(confirmed, found, request, reading)
        total = (time.perf_counter() - begun) * 1000
        return SearchResult(
            hits=hits,
            query=reading.query,
            considered=found.considered,
            tokens=sum(hit.tokens for hit in hits),
            timings_ms={"embed": embed_ms, "search": total - embed_ms, "total": total},
        )

    def drop(self, cube_id: str) -> None:
        """Forgets what is held of a cube, as when it was deleted."""
        self._projections.drop(cube_id)

    def usage(self) -> dict[str, int]:
        """Projections held, their memories, their bytes."""
        return self._projections.usage()

    def _check_model(self, cube: Cube) -> None:
        present, stored = self._embedder.model, cube.embedding
        if stored is not None and stored.digest != present.digest:
            raise EmbeddingModelChanged(
                f"cube {cube.name!r} holds vectors of {stored.id} ({stored.digest[:12]}), the "
                f"service runs {present.id} ({present.digest[:12]}). Run "
                f"`memos reindex --embed {cube.name}`, or configure the former model",
                cube=cube.name,
                stored=stored.digest,
                present=present.digest,
            )

    def _read(
        self, cube_id: str, permission: Permission
    ) -> tuple[Reading, Vector | None, int, float]:
        """The query as read, its vector (None if the cube has none), the change number that the
        search must see, and the milliseconds of embedding."""
        with self._projections.fresh(cube_id) as projection:
            seen = projection.seq
            speakers, years = projection.speakers(), projection.years()
            dense = bool(projection.vectors.has.any())
        reading = read(permission.request.text, speakers=speakers, now=permission.now, years=years)
        if not dense:
            return reading, None, seen, 0.0
        begun = time.perf_counter()
        vector = self._embedder.embed([reading.query.dense_text])[0]
        return reading, vector, seen, (time.perf_counter() - begun) * 1000

    def _candidates(
        self,
        cube_id: str,
        permission: Permission,
        reading: Reading,
        vector: Vector | None,
        *,
        seen: int | None,
    ) -> _Found:
        request = permission.request
        with self._projections.fresh(cube_id, seen=seen) as projection:
            allowed = permission.rows(projection.columns)
            found = self._finder.find(
                cube_id,
                projection,
                reading,
                vector,
                allowed,
                limit=max(POOL, 2 * request.limit),
            )
            fused = fuse(found, projection, reading)
            position = projection.columns.numbers["position"][found.rows]
            order = np.lexsort((position, -fused.scores))
            if request.mmr is not None:
                order = _spread(order, fused, projection, request)
            if not reading.exact:
                order = order[: 2 * request.limit + _SPARE]
            versions = projection.columns.version[found.rows[order]].tolist()
            ids = [projection.ids[row] for row in found.rows[order].tolist()]
            return _Found(
                fused=fused,
                items=tuple(zip(ids, versions, order.tolist(), strict=True)),
                considered=int(np.count_nonzero(allowed)),
                degraded=found.degraded,
            )

    def _confirmed(
        self,
        cube_id: str,
        found: _Found,
        permission: Permission,
        reading: Reading,
        *,
        last_try: bool,
    ) -> _Confirmed | None:
        """The first `limit` that the truth confirms. None: some have changed, search again."""
        confirmed: _Confirmed = []
        limit = permission.request.limit
        for start in range(0, len(found.items), limit + _SPARE):
            part = found.items[start : start + limit + _SPARE]
            fresh = self._memories.get(cube_id, [memory_id for memory_id, _, _ in part])
            for memory_id, version, at in part:
                memory = fresh.get(memory_id)
                if memory is None or not permission.allows(memory):
                    continue
                if memory.version != version:
                    if last_try:
                        continue
                    return None
                if not reading.exact or has_phrases(text_of(memory), reading.query.phrases):
                    confirmed.append((at, memory))
            if len(confirmed) >= limit:
                break
        return confirmed[:limit]

    def _hits(
        self, confirmed: _Confirmed, found: _Found, request: Search, reading: Reading
    ) -> tuple[Hit, ...]:
        sizes = self._sizes.of([memory for _, memory in confirmed])
        chosen: Sequence[int] = range(len(confirmed))
        if request.token_budget is not None:
            chosen = packed(sizes, request.token_budget)
        hits: list[Hit] = []
        for i in chosen:
            at, memory = confirmed[i]
            shares = found.fused.breakdown(at)
            why: tuple[str, ...] = ()
            if request.explain:
                why = explained(memory, shares, reading, found.degraded)
            score = float(found.fused.scores[at])
            hits.append(Hit(memory=memory, score=score, breakdown=shares, tokens=sizes[i], why=why))
        return tuple(hits)


def _spread(order: Rows, fused: Fused, projection: Projection, request: Search) -> Rows:
    """The best candidates in the order of maximal marginal relevance."""
    assert request.mmr is not None
    best = order[: min(max(POOL, 2 * request.limit), request.limit + 200)]
    vectors = projection.vectors.take(fused.rows[best])
    chosen = diversified(
        fused.scores[best], vectors, balance=request.mmr, limit=request.limit + _SPARE
    )
    return best[chosen]
