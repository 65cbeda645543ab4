"""The vector index of a process: opened when first needed, and never waited for by a search.

Opening takes seconds (libraries, graphs on disk). A search that comes before it is done is exact
instead, with the same answer. Jobs and repairs, which need the index itself, wait for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from memos.errors import StorageError, StorageUnavailable
from memos.protocols import VectorIndex

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 30.0
"""After an index could not be opened, searches try again this much later."""


class LateVectorIndex:
    """Opens the index by `open_index` at the first need. Thread-safe."""

    def __init__(self, open_index: Callable[[], VectorIndex]) -> None:
        self._open_index = open_index
        self._index: VectorIndex | None = None
        self._opening = threading.Lock()
        self._started = threading.Lock()
        self._failure: tuple[float, StorageError] | None = None
        self._thread: threading.Thread | None = None

    def wait(self) -> VectorIndex:
        """The index, opened now if it is not. Raises what opening raises."""
        with self._opening:
            if self._index is None:
                self._index = self._open_index()
                self._failure = None
            return self._index

    def leave(self) -> None:
        """Never opens the index: it is for another process. `wait` raises StorageUnavailable."""

        def left() -> VectorIndex:
            raise StorageUnavailable("the vector index is left to a process that searches")

        self._open_index = left

    def at_hand(self) -> VectorIndex | None:
        """The index if it is open; else None, and it is being opened in the background.

        The StorageError of an opening that failed lately.
        """
        if self._index is not None:
            return self._index
        with self._started:
            if self._failure is not None:
                failed_at, error = self._failure
                if time.monotonic() - failed_at < _AGAIN_SECONDS:
                    raise error
                self._failure = None
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._open, name="vector-index", daemon=True)
                self._thread.start()
        return None

    def close(self) -> None:
        """Closes the index if it is open; an opening under way is waited for."""
        with self._opening:
            index, self._index = self._index, None
        if index is not None:
            index.close()

    def _open(self) -> None:
        try:
            self.wait()
        except StorageError as error:
            log.warning("searches go without the vector index: %s", error)
            self._failure = (time.monotonic(), error)
