"""What keeps a worker's leases alive: a beat now and then for all of them.

From a thread of its own, since a handler may spend long in one model call. Knows the queue, not
what the jobs do.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from memos.errors import MemosError
from memos.protocols import JobQueue
from memos.types import Job

log = logging.getLogger(__name__)


class Heart:
    """Beats three times per lease while any job is held. Thread-safe."""

    def __init__(self, queue: JobQueue, worker: str, lease_seconds: float) -> None:
        self._queue = queue
        self._worker = worker
        self._lease_seconds = lease_seconds
        self._lock = threading.Lock()
        self._held: set[str] = set()
        self._lost: set[str] = set()
        self._thread: threading.Thread | None = None
        self._done = threading.Event()

    @contextmanager
    def beating(self, jobs: Sequence[Job]) -> Iterator[None]:
        """Around the work on these jobs."""
        ids = {job.id for job in jobs}
        with self._lock:
            self._held |= ids
            if self._thread is None:
                self._done.clear()
                self._thread = threading.Thread(
                    target=self._run, name=f"{self._worker}-heartbeat", daemon=True
                )
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._held -= ids
                self._lost -= ids

    def holds(self, job_id: str) -> bool:
        """False once a beat has found that the job is no longer this worker's."""
        with self._lock:
            return job_id not in self._lost

    def stop(self) -> None:
        with self._lock:
            thread, self._thread = self._thread, None
            self._done.set()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while not self._done.wait(self._lease_seconds / 3):
            with self._lock:
                held = set(self._held)
            if not held:
                continue
            try:
                kept = self._queue.extend(self._worker, held, seconds=self._lease_seconds)
            except MemosError:
                log.warning("the heartbeat of worker %s did not reach the queue", self._worker)
                continue
            with self._lock:
                self._lost |= (held & self._held) - kept
