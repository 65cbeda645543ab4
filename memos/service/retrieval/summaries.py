"""Summaries found by way of the memories that they tell of.

A search's hits are looked at to a greater depth than was asked for, and each lends its summaries
what it is worth. So a summary needs no index of its own, is found by every channel that finds
memories, and is given only to whom all its memories are given. Hits stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from memos.config import Settings
from memos.protocols import Clock, Stores
from memos.retrieval.filtering.filters import parse_filter
from memos.retrieval.filtering.permission import Permission
from memos.retrieval.search import Searcher
from memos.types import Cube, Hit, Search, SearchResult, Summary, SummaryHit

_DEPTH = 100
"""Hits that are looked at."""
_RANKS = 60
"""As in reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009): a hit at rank r is worth
1 / (60 + r)."""


class SummarySearch:
    """For all tenants."""

    def __init__(
        self, stores: Stores, searcher: Searcher, settings: Settings, *, clock: Clock
    ) -> None:
        self._stores = stores
        self._searcher = searcher
        self._depth = min(_DEPTH, settings.max_limit)
        self._clock = clock

    def search(self, cube: Cube, request: Search) -> SearchResult:
        """As `Searcher.search`, with summaries where some are asked for."""
        found = self._searcher.search(cube, request)
        if not request.summaries:
            return found
        deep = replace(
            request, limit=self._depth, mmr=None, token_budget=None, explain=False, summaries=0
        )
        hits = self._searcher.search(cube, deep).hits
        return replace(found, summaries=self._of(cube, request, hits))

    def _of(self, cube: Cube, request: Search, hits: Sequence[Hit]) -> tuple[SummaryHit, ...]:
        rank = {hit.memory.id: place for place, hit in enumerate(hits, start=1)}
        known = self._stores.summaries.of(cube.id, list(rank), known_as_of=request.known_as_of)
        allowed = self._allowed(cube, request, known)
        ranked = [_ranked(one, rank) for one in known if allowed.issuperset(one.memory_ids)]
        ranked.sort(key=lambda one: (-one.score, one.summary.id))
        return tuple(ranked[: request.summaries])

    def _allowed(self, cube: Cube, request: Search, known: Sequence[Summary]) -> set[str]:
        """Of the memories that summaries tell of, those that the search may give."""
        ids = sorted({id for one in known for id in one.memory_ids})
        at = request.known_as_of
        if at is None:
            memories = self._stores.memories.get(cube.id, ids)
        else:
            memories = self._stores.past.get(cube.id, ids, at=at)
        permission = Permission(request, parse_filter(request.filter), at or self._clock())
        return {id for id, memory in memories.items() if permission.allows(memory)}


def _ranked(summary: Summary, rank: dict[str, int]) -> SummaryHit:
    """Worth what its memories are, less the more it tells of besides."""
    ids = sorted((id for id in summary.memory_ids if id in rank), key=rank.__getitem__)
    worth = sum(1 / (_RANKS + rank[id]) for id in ids)
    return SummaryHit(
        summary=summary,
        score=round(worth / math.sqrt(len(summary.memory_ids)), 6),
        memory_ids=tuple(ids),
    )
