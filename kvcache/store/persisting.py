"""Writing in the background: a bounded queue and one thread.

A full queue refuses at once rather than make a request wait for a disk. Errors are kept for who
flushes. It does not know what it writes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Condition, Thread

Job = Callable[[], object]


class Persisting:
    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._jobs: deque[Job] = deque()
        self._running = 0
        self._errors: list[BaseException] = []
        self._changed = Condition()
        self._thread: Thread | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        with self._changed:
            return len(self._jobs) + self._running

    def add(self, job: Job) -> bool:
        """False if there is no room, or it is closed."""
        with self._changed:
            if self._closed or len(self._jobs) >= self._limit:
                return False
            self._jobs.append(job)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="memos-kv-persist", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            return True

    def flush(self) -> None:
        """Waits until all is done; raises the first error since the last flush."""
        with self._changed:
            self._changed.wait_for(lambda: not self._jobs and not self._running)
            errors, self._errors = self._errors, []
        if errors:
            raise errors[0]

    def close(self) -> None:
        """Finishes what waits, then ends the thread. Errors stay for `flush`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if not self._jobs:
                    return
                job = self._jobs.popleft()
                self._running = 1
            error = self._done(job)
            with self._changed:
                self._running = 0
                if error:
                    self._errors.append(error)
                self._changed.notify_all()

    def _done(self, job: Job) -> BaseException | None:
        try:
            job()
        except Exception as error:  # whoever flushes must see it, whatever it is
            return error
        return None
