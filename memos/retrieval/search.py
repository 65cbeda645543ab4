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

from memos.config import Settings
from memos.errors import EmbeddingModelChanged, InvalidInput
from memos.protocols import ChangeFeed, Clock, Embedder, MemoryStore, PastStore, VectorIndex
from memos.retrieval.filtering.filters import parse_filter
from memos.retrieval.filtering.permission import Permission
from memos.retrieval.filtering.request import check_search
from memos.retrieval.gathering import SPARE, Examined, Found, Gathering
from memos.retrieval.packing import packed
from memos.retrieval.projection.past import Form, PastProjections
from memos.retrieval.projection.projection import Projections
from memos.retrieval.projection.sizes import TokenCounts
from memos.retrieval.ranking.candidates import CandidateFinder
from memos.retrieval.ranking.explanation import explained
from memos.retrieval.ranking.reranking import READ, Reranker, shares
from memos.retrieval.reading.analysis import text_of
from memos.retrieval.reading.query import Reading, has_phrases, read
from memos.types import Contribution, Cube, Hit, Memory, Search, SearchResult

if TYPE_CHECKING:
    from memos.graph.network.projections import GraphProjections
    from memos.protocols import Vector

ATTEMPTS = 3
"""How often a search is done over when memories change between finding and fetching them."""

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
        self._reranker = reranker
        self._settings = settings
        self._clock = clock
        self._projections = Projections(feed, settings.projection_bytes)
        self._sizes = TokenCounts(embedder)
        finder = CandidateFinder(index, index_min=settings.vector_index_min)
        self._now = _View(self._projections, finder, memories.get)
        # The vector index knows the present only.
        self._exact = CandidateFinder(None, index_min=settings.vector_index_min)
        self.gathering = Gathering(settings, graph, reranked=reranker is not None)
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
            with view.projections.fresh(cube.id, seen=None if attempt else seen) as projection:
                found = self.gathering.gather(
                    cube.id,
                    projection,
                    view.finder,
                    permission,
                    reading,
                    vector,
                    walking=view is self._now,
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
            return self.gathering.examine(
                cube.id, projection, self._now.finder, permission, reading, vector
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

    def _reranked(
        self, confirmed: _Confirmed, found: Found, request: Search
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

    def _confirmed(
        self,
        view: _View,
        cube_id: str,
        found: Found,
        permission: Permission,
        reading: Reading,
        *,
        last_try: bool,
    ) -> _Confirmed | None:
        """The first `limit` that the truth confirms. None: some have changed, search again."""
        confirmed: _Confirmed = []
        limit = self.gathering.wanted(permission.request, found.hard)
        for start in range(0, len(found.items), limit + SPARE):
            part = found.items[start : start + limit + SPARE]
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
        found: Found,
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
