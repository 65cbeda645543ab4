"""Search: read the query, embed it, find and score candidates, ask the truth, pack the hits.

No language model. The projection proposes; SQL makes the last check of state, expiry, scope, filter
and version, so that nothing stale leaks. An error of the feed, the truth, the embedder or the model
is raised as it is: an empty answer means that nothing matched. Only a vector index that can't
answer is done without, exactly and slower, which is logged and said in the explanation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memos.config import Settings
from memos.errors import EmbeddingModelChanged, InvalidInput
from memos.protocols import ChangeFeed, Clock, Embedder, MemoryStore, PastStore, VectorIndex
from memos.retrieval.analysis import text_of
from memos.retrieval.candidates import POOL, WIDTH, CandidateFinder, Candidates
from memos.retrieval.columns import Rows
from memos.retrieval.diversity import diversified
from memos.retrieval.explanation import explained
from memos.retrieval.filters import parse_filter
from memos.retrieval.fit import Fit, default
from memos.retrieval.fusion import Fused, base_of, fitted, matrix_of, summed, with_graph
from memos.retrieval.nearness import near, nearest, nearness
from memos.retrieval.packing import packed
from memos.retrieval.past import Form, PastProjections
from memos.retrieval.permission import Permission
from memos.retrieval.projection import Projection, Projections
from memos.retrieval.query import Reading, has_phrases, read
from memos.retrieval.request import check_search
from memos.retrieval.reranking import READ, Reranker, shares
from memos.retrieval.routing import EASY, difficulty
from memos.retrieval.sizes import TokenCounts
from memos.types import Contribution, Cube, Hit, Memory, Search, SearchResult

if TYPE_CHECKING:
    from memos.graph.projections import GraphProjections
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


_Confirmed = list[tuple[int, Memory]]


@dataclass(frozen=True, slots=True)
class _View:
    """What a search goes over: the cubes as they are now, or as one was known at a time."""

    projections: Projections
    finder: CandidateFinder
    fetch: Callable[[str, Sequence[str]], Mapping[str, Memory]]


class Searcher:
    """Searches cubes. Thread-safe. `index` gives the vector index, or None while it is not open;
    `past` the memories as they were believed, without which only the present can be searched, and
    `form` makes terms and vectors of those that have changed since. `graph` holds the facts around
    what a query names; `reranker` has the last look at what a hard query found."""

    def __init__(
        self,
        feed: ChangeFeed,
        memories: MemoryStore,
        embedder: Embedder,
        index: Callable[[], VectorIndex | None] | None,
        settings: Settings,
        *,
        clock: Clock,
        past: PastStore | None = None,
        form: Form | None = None,
        graph: GraphProjections | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        self._embedder = embedder
        self._graph = graph
        self._reranker = reranker
        self._settings = settings
        self._clock = clock
        self._projections = Projections(feed, settings.projection_bytes)
        self._sizes = TokenCounts(embedder)
        finder = CandidateFinder(index, index_min=settings.vector_index_min)
        self._now = _View(self._projections, finder, memories.get)
        # The vector index knows the present only.
        self._exact = CandidateFinder(None, index_min=settings.vector_index_min)
        self.fit: Fit | None = None if settings.fusion == "plain" else default()
        """Weights of the fusion; None: the plain sum."""
        self._past_store = past
        self._past = None
        if past is not None and form is not None:
            self._past = PastProjections(feed, past, form, budget=self._spare_bytes)

    def search(self, cube: Cube, request: Search) -> SearchResult:
        """The hits, best first.

        InvalidInput, InvalidFilter for a request that can't be answered; EmbeddingModelChanged if
        the cube's vectors come from another model; CubeNotFound if it is gone; the backends' own.
        """
        begun = time.perf_counter()
        now = self._clock()
        check_search(request, self._settings, now)
        permission = Permission(request, parse_filter(request.filter), request.known_as_of or now)
        self._check_model(cube)
        view = self._view(cube.id, request.known_as_of)
        reading, vector, seen, embed_ms = self._read(view, cube.id, permission)
        for attempt in range(ATTEMPTS):
            found = self._candidates(
                view, cube.id, permission, reading, vector, seen=seen if attempt == 0 else None
            )
            last_try = attempt == ATTEMPTS - 1
            confirmed = self._confirmed(
                view, cube.id, found, permission, reading, last_try=last_try
            )
            if confirmed is not None:
                break
        else:
            raise AssertionError("the last try confirms or drops")
        confirmed, read = self._reranked(confirmed, found, request)
        hits = self._hits(confirmed, found, request, reading, read)
        total = (time.perf_counter() - begun) * 1000
        return SearchResult(
            hits=hits,
            query=reading.query,
            considered=found.considered,
            tokens=sum(hit.tokens for hit in hits),
            timings_ms={"embed": embed_ms, "search": total - embed_ms, "total": total},
        )

    def examine(self, cube: Cube, text: str) -> Examined:
        """What a fit is made from: the candidates of a query with the plain sum and the features.

        The cube must have vectors. Nothing is asked of the truth, so nothing is checked by it.
        """
        permission = Permission(Search(text=text), None, self._clock())
        reading, vector, seen, _ = self._read(self._now, cube.id, permission)
        with self._projections.fresh(cube.id, seen=seen) as projection:
            allowed = permission.rows(projection.columns)
            finder = self._now.finder
            found = finder.find(cube.id, projection, reading, vector, allowed, limit=WIDTH)
            plain = summed(found, projection, reading)
            return Examined(
                ids=tuple(projection.ids[row] for row in found.rows.tolist()),
                plain=plain,
                base=base_of(plain),
                matrix=matrix_of(plain, found, projection, reading),
                graph=nearness(self._ranks(cube.id, projection, reading, None), found.rows),
            )

    @property
    def projections(self) -> Projections:
        """The searched forms of the cubes as they are now."""
        return self._projections

    def drop(self, cube_id: str) -> None:
        """Forgets what is held of a cube, as when it was deleted."""
        self._projections.drop(cube_id)
        self.drop_past(cube_id)

    def drop_past(self, cube_id: str) -> None:
        """Forgets what is held of a cube's past, as when a memory was erased."""
        if self._past is not None:
            self._past.drop(cube_id)

    def usage(self) -> dict[str, int]:
        """Projections held, their memories, their bytes; and those of past moments."""
        past = {} if self._past is None else self._past.usage()
        return {**self._projections.usage(), **past}

    def _spare_bytes(self) -> int:
        held = self._projections.usage()["projection_bytes"]
        return max(0, self._settings.projection_bytes - held)

    def _view(self, cube_id: str, known_as_of: datetime | None) -> _View:
        if known_as_of is None:
            return self._now
        store = self._past_store
        if store is None or self._past is None:
            raise InvalidInput(
                "this searcher holds no past; leave known_as_of out", field="known_as_of"
            )
        return _View(
            self._past.at(cube_id, known_as_of),
            self._exact,
            lambda cube, ids: store.get(cube, ids, at=known_as_of),
        )

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
        self, view: _View, cube_id: str, permission: Permission
    ) -> tuple[Reading, Vector | None, int, float]:
        """The query as read, its vector (None if the cube has none), the change number that the
        search must see, and the milliseconds of embedding."""
        with view.projections.fresh(cube_id) as projection:
            seen = projection.seq
            speakers, years = projection.speakers(), projection.years()
            places = projection.places()
            dense = bool(projection.vectors.has.any())
        if self._past is not None:
            self._past.fit()
        reading = read(
            permission.request.text,
            speakers=speakers,
            now=permission.now,
            years=years,
            places=places,
        )
        if not dense:
            return reading, None, seen, 0.0
        begun = time.perf_counter()
        vector = self._embedder.embed([reading.query.dense_text])[0]
        return reading, vector, seen, (time.perf_counter() - begun) * 1000

    def _candidates(
        self,
        view: _View,
        cube_id: str,
        permission: Permission,
        reading: Reading,
        vector: Vector | None,
        *,
        seen: int | None,
    ) -> _Found:
        request = permission.request
        with view.projections.fresh(cube_id, seen=seen) as projection:
            allowed = permission.rows(projection.columns)
            found = view.finder.find(
                cube_id,
                projection,
                reading,
                vector,
                allowed,
                limit=max(WIDTH, 2 * request.limit),
            )
            fused = summed(found, projection, reading)
            if self._settings.graph_weight and view is self._now:
                found, fused = self._walked(cube_id, projection, reading, found, fused, request)
            hard = difficulty(fused.scores) > EASY
            if self.fit is not None:
                fused = fitted(fused, found, projection, reading, self.fit)
            position = projection.columns.numbers["position"][found.rows]
            order = np.lexsort((position, -fused.scores))
            if request.mmr is not None:
                order = _spread(order, fused, projection, request)
            if not reading.exact:
                order = order[: max(2 * request.limit, self._wanted(request, hard)) + _SPARE]
            versions = projection.columns.version[found.rows[order]].tolist()
            ids = [projection.ids[row] for row in found.rows[order].tolist()]
            return _Found(
                fused=fused,
                items=tuple(zip(ids, versions, order.tolist(), strict=True)),
                considered=int(np.count_nonzero(allowed)),
                degraded=found.degraded,
                hard=hard,
            )

    def _wanted(self, request: Search, hard: bool) -> int:
        """How many hits the truth must confirm. An order by diversity is not changed afterwards."""
        if self._reranker is None or not hard or request.mmr is not None:
            return request.limit
        return max(request.limit, READ)

    def _reranked(
        self, confirmed: _Confirmed, found: _Found, request: Search
    ) -> tuple[_Confirmed, Mapping[int, Contribution]]:
        """The first `limit` in the order that the reranker leaves, and its shares by place."""
        if self._reranker is None or not found.hard or request.mmr is not None:
            return confirmed, {}
        texts = [text_of(memory) for _, memory in confirmed[:READ]]
        given = shares(self._reranker.scores(request.text, texts))
        read = {at: share for (at, _), share in zip(confirmed, given, strict=False)}
        scores = found.fused.scores

        def score(at: int) -> float:
            return float(scores[at]) + (read[at].weighted if at in read else 0.0)

        return sorted(confirmed, key=lambda one: -score(one[0]))[: request.limit], read

    def _walked(
        self,
        cube_id: str,
        projection: Projection,
        reading: Reading,
        found: Candidates,
        plain: Fused,
        request: Search,
    ) -> tuple[Candidates, Fused]:
        """With what the graph finds near the things that the query names. An easy query does
        without, and so does one that names nothing known, or whose graph is too large for RAM."""
        if difficulty(plain.scores) <= EASY:
            return found, plain
        ranks = self._ranks(cube_id, projection, reading, request.as_of)
        if not ranks:
            return found, plain
        if not reading.exact:
            found = self._now.finder.widened(found, nearest(ranks), projection)
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

    def _confirmed(
        self,
        view: _View,
        cube_id: str,
        found: _Found,
        permission: Permission,
        reading: Reading,
        *,
        last_try: bool,
    ) -> _Confirmed | None:
        """The first `limit` that the truth confirms. None: some have changed, search again."""
        confirmed: _Confirmed = []
        limit = self._wanted(permission.request, found.hard)
        for start in range(0, len(found.items), limit + _SPARE):
            part = found.items[start : start + limit + _SPARE]
            fresh = view.fetch(cube_id, [memory_id for memory_id, _, _ in part])
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
        self,
        confirmed: _Confirmed,
        found: _Found,
        request: Search,
        reading: Reading,
        read: Mapping[int, Contribution],
    ) -> tuple[Hit, ...]:
        sizes = self._sizes.of([memory for _, memory in confirmed])
        chosen: Sequence[int] = range(len(confirmed))
        if request.token_budget is not None:
            chosen = packed(sizes, request.token_budget)
        hits: list[Hit] = []
        for i in chosen:
            at, memory = confirmed[i]
            parts = found.fused.breakdown(at)
            score = float(found.fused.scores[at])
            if at in read:
                parts, score = (*parts, read[at]), score + read[at].weighted
            why: tuple[str, ...] = ()
            if request.explain:
                why = explained(memory, parts, reading, found.degraded)
            hits.append(Hit(memory=memory, score=score, breakdown=parts, tokens=sizes[i], why=why))
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
