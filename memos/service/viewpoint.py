"""From when a read looks: what had happened by then, and what was known then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from memos.types import Memory
from memos.validation import check_known, check_time, to_utc


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """Both times in UTC; None is now. `at` makes one of what a caller gave."""

    as_of: datetime | None = None
    known_as_of: datetime | None = None

    @classmethod
    def at(
        cls, now: datetime, *, as_of: datetime | None = None, known_as_of: datetime | None = None
    ) -> Viewpoint:
        """InvalidInput for a time without a zone, and for a `known_as_of` that is yet to come."""
        check_time("as_of", as_of)
        check_known("known_as_of", known_as_of, now)
        return cls(
            None if as_of is None else to_utc(as_of),
            None if known_as_of is None else to_utc(known_as_of),
        )

    def happened(self, memory: Memory) -> bool:
        """Whether the memory's own time had come."""
        return self.as_of is None or (memory.occurred_at or memory.created_at) <= self.as_of

    def times(self) -> dict[str, Any]:
        """Both, as keyword arguments."""
        return {"as_of": self.as_of, "known_as_of": self.known_as_of}


NOW = Viewpoint()


def in_utc(name: str, value: datetime | None) -> datetime | None:
    """InvalidInput, by this name, for a time without a zone."""
    check_time(name, value)
    return None if value is None else to_utc(value)
