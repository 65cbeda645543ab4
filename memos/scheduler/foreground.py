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

_LEAST_REST = 0.5
_MOST_REST = 5.0
_REST = 9.0
"""While requests come without a pause, background work rests so many times as long as it worked:
it has a tenth of the time. At least and at most so many seconds between two steps."""

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

    def pace(self) -> Pace:
        """For one piece of background work that goes on in steps."""
        return Pace(self, self._now)

    def give_way(self, at_most: float) -> bool:
        """Returns True when no request has been under way for a moment; False after `at_most` s."""
        deadline = self._now() + at_most
        while not (calm := self.calm) and self._now() < deadline:
            self._sleep(_LOOK_SECONDS)
        return calm

    @property
    def calm(self) -> bool:
        """Whether no request is under way, nor was just now."""
        with self._lock:
            return not self._under_way and self._now() - self._ended >= CALM_SECONDS


class Pace:
    """How background work goes on: at once in a calm, else with pauses, but it never stops."""

    def __init__(self, foreground: Foreground, now: Callable[[], float]) -> None:
        self._foreground = foreground
        self._now = now
        self._since = now()

    def step(self) -> bool:
        """Before each step; waits for a calm according to how long the step before took. False:
        requests still come, so the step should be small."""
        worked = self._now() - self._since
        calm = self._foreground.give_way(min(_MOST_REST, max(_LEAST_REST, _REST * worked)))
        self._since = self._now()
        return calm
