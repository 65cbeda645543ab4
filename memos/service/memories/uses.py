"""Counts of use, written from time to time by a thread of their own: no search waits for a write.

What was counted and not yet written is lost with the process; a count is no promise.
"""

from __future__ import annotations

import logging
import threading

from memos.admission.recalls import Recalls
from memos.errors import CubeNotFound, MemosError
from memos.protocols import KeepingStore

log = logging.getLogger(__name__)

_EVERY_SECONDS = 5.0


class Uses:
    """Starts its thread at the first use. Thread-safe."""

    def __init__(self, store: KeepingStore, recalls: Recalls) -> None:
        self._store = store
        self._recalls = recalls
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._started = False

    def start(self) -> None:
        """Does nothing if it runs already."""
        if self._started or self._stopping.is_set():
            return
        with self._lock:
            if not self._started:
                self._thread = threading.Thread(target=self._run, name="uses", daemon=True)
                self._thread.start()
                self._started = True

    def flush(self) -> None:
        """Writes what was counted. The store's errors come through, and the counts are lost."""
        for cube_id, counts in self._recalls.drain().items():
            try:
                self._store.use(cube_id, counts)
            except CubeNotFound:
                continue

    def close(self) -> None:
        """Writes the rest."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._flush_or_log()

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_SECONDS):
            self._flush_or_log()

    def _flush_or_log(self) -> None:
        try:
            self.flush()
        except MemosError as error:
            log.warning("counts of use were not written: %s", error)
