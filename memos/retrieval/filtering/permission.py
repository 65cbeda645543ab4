"""What a search may return: asked of the projection's columns first, of the truth itself last.

Both forms are kept beside each other, since they must agree: state, expiry, scope, kinds, time and
filter. Knows no scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import numpy as np

from memos.retrieval.filtering.filters import Node
from memos.retrieval.projection.columns import Columns, Mask
from memos.retrieval.reading.analysis import fold
from memos.types import LIVE, Memory, Search

_SCOPE = ("user_id", "agent_id", "session_id")

folded = lru_cache(maxsize=50_000)(fold)
"""`fold`, remembered: a cube has few places, and each search by place compares them all."""


@dataclass(frozen=True, slots=True)
class Permission:
    """A request's conditions at the moment `now`, which is `known_as_of` where that is given."""

    request: Search
    filter: Node | None
    now: datetime

    def rows(self, columns: Columns) -> Mask:
        """Rows that pass, shape (columns.size,)."""
        size = columns.size
        mask: Mask = columns.live[:size].copy()
        if not size:
            return mask
        # A comparison with NaN is false: without expiry a memory does not expire.
        mask &= ~(columns.numbers["expires_at"][:size] <= self.now.timestamp())
        for name in _SCOPE:
            wanted = getattr(self.request, name)
            if wanted is not None:
                mask &= columns.equals(name, wanted)
        if self.request.kinds:
            kinds = [columns.equals("kind", kind.value) for kind in self.request.kinds]
            mask &= np.logical_or.reduce(kinds)
        occurred = columns.numbers["occurred_at"][:size]
        if self.request.since is not None:
            mask &= occurred >= self.request.since.timestamp()
        if self.request.until is not None:
            mask &= occurred < self.request.until.timestamp()
        if self.request.as_of is not None:
            happened = np.where(np.isnan(occurred), columns.numbers["created_at"][:size], occurred)
            mask &= happened <= self.request.as_of.timestamp()
        if self.request.place is not None:
            mask &= _at_place(columns, self.request.place)
        if self.filter is not None:
            mask &= columns.where(self.filter)
        return mask

    def allows(self, memory: Memory) -> bool:
        """The same of one memory as the truth has it now."""
        request = self.request
        if memory.state not in LIVE:
            return False
        if memory.expires_at is not None and memory.expires_at <= self.now:
            return False
        for name in _SCOPE:
            wanted = getattr(request, name)
            if wanted is not None and getattr(memory, name) != wanted:
                return False
        if request.kinds and memory.kind not in request.kinds:
            return False
        if (request.since or request.until) and memory.occurred_at is None:
            return False
        if request.since and memory.occurred_at and memory.occurred_at < request.since:
            return False
        if request.until and memory.occurred_at and memory.occurred_at >= request.until:
            return False
        if request.as_of and (memory.occurred_at or memory.created_at) > request.as_of:
            return False
        if request.place is not None and (
            memory.place is None or folded(memory.place) != folded(request.place)
        ):
            return False
        return self.filter is None or self.filter.matches(memory)


def _at_place(columns: Columns, place: str) -> Mask:
    factor, wanted = columns.texts["place"], folded(place)
    codes = [
        code
        for code, name in enumerate(factor.values)
        if name is not None and folded(name) == wanted
    ]
    return np.isin(factor.codes[: columns.size], codes)
