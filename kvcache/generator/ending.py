"""How a model's passes come to an end when the process does.

Python can't interrupt a thread that is inside torch, and a process that ends while one is aborts.
So a pass asks before each of its layers, and ends there.
"""

from __future__ import annotations

import threading

from memos.errors import ServiceUnavailable


class Ending:
    """Shared by all views of a model, and by all that is computed for them."""

    def __init__(self) -> None:
        self._wanted = threading.Event()

    def want(self) -> None:
        """From now on `check` raises."""
        self._wanted.set()

    def check(self) -> None:
        """ServiceUnavailable once the end is wanted."""
        if self._wanted.is_set():
            raise stopping()


def stopping() -> ServiceUnavailable:
    return ServiceUnavailable("the service is stopping; ask again when it is back")
