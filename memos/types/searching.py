"""A search, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from memos.types.graph import Summary
from memos.types.memories import Kind, Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search request.

    `filter` is the metadata filter language (`memos.retrieval.filtering.filters`); `since` ≤
    occurred_at < `until`; `place` keeps memories of that place; `as_of` keeps what had happened by
    then and takes facts as they were true then; `known_as_of` answers as the cube was known then,
    forgotten or changed memories included as they were; `mmr` in [0, 1] weighs relevance against
    diversity (None: off; 1: relevance alone); `token_budget` packs hits until their texts' tokens
    reach it; `summaries` are found besides, so many at most, and change no hit.
    """

    text: str
    limit: int = 10
    user_id: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    kinds: tuple[Kind, ...] = ()
    filter: Mapping[str, Any] | None = None
    since: datetime | None = None
    until: datetime | None = None
    place: str | None = None
    as_of: datetime | None = None
    known_as_of: datetime | None = None
    mmr: float | None = None
    token_budget: int | None = None
    explain: bool = False
    summaries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one channel gave a hit: its raw score, its calibrated value, the weighted part."""

    channel: str
    raw: float
    calibrated: float
    weighted: float
    rank: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One search result. `score` orders hits of one search; it is not comparable across searches.

    `why` is a sentence per channel that found it; only filled with `explain=True`.
    """

    memory: Memory
    score: float
    breakdown: tuple[Contribution, ...]
    tokens: int
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryHit:
    """A summary that was found by way of the memories that it tells of, which are `memory_ids`, the
    best first. `score` orders the summaries of one search."""

    summary: Summary
    score: float
    memory_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedQuery:
    """How the query was read."""

    text: str
    dense_text: str
    terms: tuple[str, ...]
    phrases: tuple[str, ...]
    speakers: tuple[str, ...]
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """Hits in order. `considered` counts the memories that scope, state and filter let through.
    `summaries` are given only if the search asked for some.

    `timings_ms` has `embed`, `search` (all but embedding) and `total`.
    """

    hits: tuple[Hit, ...]
    query: ParsedQuery
    considered: int
    tokens: int
    timings_ms: Mapping[str, float]
    summaries: tuple[SummaryHit, ...] = ()
