"""Checks of a search request's values. Each refusal names the field, the value and the remedy."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from memos.config import Settings
from memos.errors import InvalidInput
from memos.types import Kind, Search
from memos.validation import check_known, check_label, check_text, check_time

MAX_QUERY_CHARS = 10_000


def check_search(request: Search, settings: Settings, now: datetime) -> None:
    """InvalidInput if the request can't be answered. The filter is checked when it is parsed."""
    check_text("text", request.text)
    if not request.text.strip():
        raise InvalidInput("text is empty; say what to search for", field="text")
    if len(request.text) > MAX_QUERY_CHARS:
        raise InvalidInput(
            f"text has {len(request.text)} characters; a query has at most {MAX_QUERY_CHARS}. "
            "Search for the question, not for a document",
            field="text",
        )
    _check_whole("limit", request.limit, 1, settings.max_limit)
    _check_whole("summaries", request.summaries, 0, settings.max_limit)
    if request.token_budget is not None:
        _check_whole("token_budget", request.token_budget, 1, 10_000_000)
    mmr: Any = request.mmr
    if mmr is not None and (
        isinstance(mmr, bool)
        or not isinstance(mmr, (int, float))
        or not math.isfinite(mmr)
        or not 0 <= mmr <= 1
    ):
        raise InvalidInput(
            f"mmr is {mmr!r}; it must be from 0 (diversity) to 1 (relevance), or left out",
            field="mmr",
        )
    for name in ("user_id", "agent_id", "session_id", "place"):
        check_label(name, getattr(request, name))
    kinds: tuple[Any, ...] = request.kinds
    for kind in kinds:
        if not isinstance(kind, Kind):
            known = ", ".join(known.value for known in Kind)
            raise InvalidInput(f"kinds has {kind!r}; use some of {known}", field="kinds")
    check_time("since", request.since)
    check_time("until", request.until)
    check_time("as_of", request.as_of)
    check_known("known_as_of", request.known_as_of, now)
    if request.since and request.until and request.since >= request.until:
        raise InvalidInput(
            f"since ({request.since.isoformat()}) is not before until "
            f"({request.until.isoformat()}); nothing can lie between them",
            field="since",
        )


def _check_whole(name: str, value: Any, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidInput(
            f"{name} is {value!r}; it must be a whole number from {least} to {most}", field=name
        )
