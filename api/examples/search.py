"""The example of what a search answers, as a value of its type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memos.api.examples.memories import MEMORY
from memos.types import Contribution, Hit, ParsedQuery, SearchResult

_RESULT = SearchResult(
    hits=(
        Hit(
            memory=MEMORY,
            score=0.83,
            breakdown=(
                Contribution(channel="dense", raw=0.71, calibrated=0.9, weighted=0.5, rank=1),
                Contribution(channel="bm25", raw=6.2, calibrated=0.8, weighted=0.33, rank=1),
            ),
            tokens=9,
        ),
    ),
    query=ParsedQuery(
        text="Where does Ana live?",
        dense_text="Where does Ana live?",
        terms=("live",),
        phrases=(),
        speakers=("Ana",),
        since=None,
        until=None,
    ),
    considered=120,
    tokens=9,
    timings_ms={"embed": 3.1, "search": 1.2, "total": 4.3},
    summaries=(),
)

SEARCH_EXAMPLES: Mapping[str, Any] = {
    "SearchResult": _RESULT,
}
"""By the name of the schema."""
