"""Where ids and the present time come from, so that tests can pass in their own."""

from __future__ import annotations

import os
import threading
import time
from datetime import datetime, timezone

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def utc_now() -> datetime:
    """The present, aware UTC."""
    return datetime.now(timezone.utc)


class UlidMaker:
    """ULIDs (github.com/ulid/spec) that grow within a process, also within one millisecond.

    Growing ids keep the rows of a batch together in the database's index, and make "newest
    first" by id the order of creation.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self) -> str:
        with self._lock:
            fresh = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
            # The spec's monotonic rule: in the same millisecond, the last value plus one.
            same_tick = fresh >> 80 <= self._last >> 80
            self._last = self._last + 1 if same_tick else fresh
            value = self._last
        return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))
