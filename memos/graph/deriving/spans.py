"""A set of spans of time, each with what it begins with; those that touch are one.

Knows times only.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


class Spans(Generic[T]):
    """Half-open spans start ≤ t < end."""

    def __init__(self) -> None:
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []
        self._first: list[T] = []

    def add(self, start: datetime, end: datetime, what: T) -> None:
        """An empty span is passed over."""
        if start >= end:
            return
        low = bisect_left(self._ends, start)
        high = bisect_right(self._starts, end)
        if low < high:
            if self._starts[low] <= start:
                start, what = self._starts[low], self._first[low]
            end = max(end, self._ends[high - 1])
        self._starts[low:high] = [start]
        self._ends[low:high] = [end]
        self._first[low:high] = [what]

    def reaching(self, at: datetime) -> tuple[datetime, T] | None:
        """Where the span that holds just before `at` begins, and with what."""
        i = bisect_left(self._starts, at) - 1
        if i >= 0 and self._ends[i] >= at:
            return self._starts[i], self._first[i]
        return None

    def last_end(self, at: datetime) -> datetime | None:
        """The latest end that is not after `at`."""
        i = bisect_right(self._ends, at) - 1
        return self._ends[i] if i >= 0 else None
