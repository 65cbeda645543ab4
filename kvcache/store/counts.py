"""What happened in a store, counted, for metrics. Every miss and every refusal has a name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Literal, get_args

Event = Literal[
    "hit",
    "hit_tokens",
    "miss",
    "stored",
    "duplicate",
    "evicted",
    "corrupt",
    "gone",
    "forgotten",
    "not_stored_full",
    "not_stored_large",
    "not_stored_orphan",
    "not_stored_forgotten",
    "not_stored_queue",
    "not_stored_error",
    "remote_error",
    "prefetch_error",
]
EVENTS: tuple[Event, ...] = get_args(Event)


class Counts:
    """Thread-safe; every event is there from the start, with 0."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[str] = Counter(dict.fromkeys(EVENTS, 0))

    def add(self, event: Event, number: int = 1) -> None:
        with self._lock:
            self._counts[event] += number

    def all(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counts)


@dataclass(frozen=True)
class StoreStats:
    """`bytes` is of all files that hold states, damaged ones in quarantine too; `counts` are of
    this process, by the names in EVENTS."""

    blocks: int
    bytes: int
    budget_bytes: int
    pinned: int
    quarantined: int
    waiting: int
    counts: Mapping[str, int]
