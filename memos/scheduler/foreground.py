"""Requests under way in this process, so that background work can step aside for them.

Threads of one process share its cores and the interpreter's lock; a search that runs beside a model
takes several times as long. Knows neither the requests nor the work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CALM_SECONDS = 0.03
"""Nothing was asked for so long: whoever asks in a loop is not between two requests."""

STEP_ASIDE_SECONDS = 0.5
"""So long background work waits between two steps while requests come without a pause."""

_LOOK_SECONDS = 0.01


class Foreground:
    """Thread-safe. `now` gives seconds that only grow; `sleep` waits for some."""

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._under_way = 0
        self._ended = now() - CALM_SECONDS

    @contextmanager
    def request(self) -> Iterator[None]:
        """Around the work of one request."""
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                self._ended = self._now()

    def give_way(self, at_most: float = STEP_ASIDE_SECONDS) -> bool:
        """Returns True when no request has been under way for a moment; False after `at_most` s:
        background work gets slower by requests, but never stops. Take a small step then."""
        deadline = self._now() + at_most
        while not (calm := self.calm) and self._now() < deadline:
            self._sleep(_LOOK_SECONDS)
        return calm

    @property
    def calm(self) -> bool:
        """Whether no request is under way, nor was just now."""
        with self._lock:
            return not self._under_way and self._now() - self._ended >= CALM_SECONDS
