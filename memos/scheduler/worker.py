"""The worker: leases due jobs, runs their handlers, keeps the leases alive, settles the outcome.

Knows the queue and a table of handlers by job kind; what a job does is the handler's. Any number
of workers may run at once: the queue gives each job to one of them, and a lease that is no longer
extended (the worker died) frees its job.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from memos.errors import MemosError, ServiceUnavailable
from memos.protocols import JobQueue
from memos.scheduler.heart import Heart
from memos.types import Job, Outcome

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
_BACKOFF_SECONDS = 1.0
_BACKOFF_LIMIT = 300.0
_CHORE_SECONDS = 1.0
_BATCH = 64
_END_SECONDS = 5.0
"""Within which a job that was broken off comes to its end."""
_BEAT_SECONDS = 0.25
"""Progress is written no more often: each time is a write that waits for the disk."""
_SETTLE_SECONDS = 0.005
"""How long a job that has ended may wait to be settled together with others."""


class LeaseLost(Exception):
    """Another worker has taken the job over; the handler must stop without settling it."""


class NotNow(Exception):
    """A handler can't run its job in this process at present, through no fault of the job: it goes
    back to the queue, due in `seconds`, and no attempt is counted."""

    def __init__(self, reason: str, *, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


class JobContext:
    """What a handler may ask for while it runs."""

    def __init__(
        self,
        job: Job,
        extend: Callable[[float | None], bool],
        stopping: Callable[[], bool] = lambda: False,
        held: Callable[[], bool] = lambda: True,
    ) -> None:
        self.job = job
        self._extend = extend
        self._stopping = stopping
        self._held = held

    def beat(self, progress: float | None = None) -> None:
        """Extends the lease and records progress in [0, 1], a few times a second at most. LeaseLost
        if it is gone: the job was cancelled, or another worker has it."""
        if not self._extend(progress):
            raise LeaseLost(self.job.id)

    def check_stop(self) -> None:
        """NotNow, to be let through, if the worker is stopping, and LeaseLost if it was noticed
        that the lease is gone; for long jobs that keep what they have done so far."""
        if not self._held():
            raise LeaseLost(self.job.id)
        if self._stopping():
            raise NotNow("the worker is stopping", seconds=0)


Handler = Callable[[JobContext], None]


class Worker:
    """Runs jobs, in threads from `start` to `stop`, or by `drain` in the caller's.

    One job at a time, but that jobs of the kinds `patient`, which are long and in no hurry, have a
    thread of their own, so that they never hold up the others. Short jobs are leased and settled
    several at a time. `versions`: the newest payload that a handler knows, if not the first.
    `chores` are called every second while it runs, between jobs.
    """

    def __init__(
        self,
        queue: JobQueue,
        handlers: Mapping[str, Handler],
        *,
        name: str,
        lease_seconds: float,
        patient: Collection[str] = frozenset(),
        versions: Mapping[str, int] | None = None,
        chores: Sequence[Callable[[], object]] = (),
        rng: random.Random | None = None,
    ) -> None:
        self._queue = queue
        self._patient = frozenset(patient)
        self._handlers = dict(handlers)
        self._versions = dict(versions or {})
        self._chores = tuple(chores)
        self._chores_at = float("-inf")
        self.name = name
        self._lease_seconds = lease_seconds
        self._rng = rng or random.Random()
        self._stopping = threading.Event()
        self._news = (threading.Event(), threading.Event())
        self._threads: list[threading.Thread] = []
        self._only: Collection[str] | None = None
        self._leave: Collection[str] = frozenset()
        self._heart = Heart(queue, name, lease_seconds)

    def start(
        self,
        *,
        only: Collection[str] | None = None,
        leave: Collection[str] = frozenset(),
        patience: float = 0.0,
    ) -> None:
        """Runs in daemon threads; does nothing if it already does. Takes jobs of the kinds `only`
        (None: all it has a handler for) without those of `leave`; patient ones after `patience`
        s."""
        if self._threads:
            return
        self._stopping.clear()
        self._only, self._leave = only, leave
        for number, (name, kinds) in enumerate(self._lanes()):
            if kinds:
                thread = threading.Thread(
                    target=self._run_lane,
                    args=(kinds, self._news[number], patience if number else 0.0),
                    name=name,
                    daemon=True,
                )
                self._threads.append(thread)
                thread.start()

    def stop(self, timeout: float = 10.0, *, end: Callable[[], bool] = lambda: False) -> None:
        """Lets the running jobs finish for at most `timeout` s, then returns every lease. Before
        that `end` may break off what they wait for, and says whether it did: they get a moment
        more. What is broken off with ServiceUnavailable has not failed: it is done later."""
        self._stopping.set()
        self.wake()
        if not self._ended(timeout) and end():
            self._ended(_END_SECONDS)
        self._threads = []
        self._heart.stop()
        self._queue.release(self.name)

    def _ended(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def wake(self) -> None:
        """Says that there is a new job, so that it need not wait for the next poll."""
        for news in self._news:
            news.set()

    @property
    def running(self) -> bool:
        """Whether it was started, not stopped, and none of its threads has ended by itself."""
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def _lanes(self) -> tuple[tuple[str, list[str]], tuple[str, list[str]]]:
        """The threads' names and the kinds of jobs that they take."""
        kinds = self._kinds()
        return (
            (self.name, [kind for kind in kinds if kind not in self._patient]),
            (f"{self.name}-patient", [kind for kind in kinds if kind in self._patient]),
        )

    def _run_lane(self, kinds: Sequence[str], news: threading.Event, wait: float) -> None:
        """Drains jobs until `stop`. A store that fails is logged and asked again later."""
        self._stopping.wait(wait)
        while not self._stopping.is_set():
            news.clear()
            try:
                self._do_chores()
                busy = self.run_batch(kinds) > 0
            except MemosError:
                log.exception("worker %s could not reach the queue", self.name)
                busy = False
            if not busy:
                news.wait(_POLL_SECONDS * (0.5 + self._rng.random()))

    def _do_chores(self) -> None:
        """Whichever thread comes first does them; a chore that is done twice does no harm."""
        if time.monotonic() - self._chores_at < _CHORE_SECONDS:
            return
        self._chores_at = time.monotonic()
        for chore in self._chores:
            chore()

    def drain(self) -> int:
        """Runs due jobs until none is left; how many it ran."""
        done = 0
        while not self._stopping.is_set() and (ran := self.run_batch()):
            done += ran
        return done

    def run_one(self) -> bool:
        """Leases and runs one due job; False if there is none."""
        return self.run_batch(limit=1) > 0

    def run_batch(self, kinds: Sequence[str] | None = None, *, limit: int = _BATCH) -> int:
        """Leases what the queue plans for one worker, of any kind or of these, and runs it; how
        many jobs that were."""
        known = self._kinds() if kinds is None else kinds
        leased = self._queue.lease(
            self.name,
            kinds={kind: self._versions.get(kind, 1) for kind in known},
            limit=limit,
            seconds=self._lease_seconds,
        )
        if not leased:
            return 0
        ended: list[Outcome] = []
        with self._heart.beating(leased):
            since = time.monotonic()
            for number, job in enumerate(leased):
                if self._stopping.is_set() and number:
                    break  # `stop` gives back the rest
                if ended and time.monotonic() - since > _SETTLE_SECONDS:
                    self._queue.settle(self.name, ended)
                    ended, since = [], time.monotonic()
                outcome = self._run(job)
                if outcome is not None:
                    ended.append(outcome)
            self._queue.settle(self.name, ended)
        return len(leased)

    def _kinds(self) -> list[str]:
        kinds = self._handlers.keys() if self._only is None else self._only
        return sorted(set(kinds) - set(self._leave))

    def _run(self, job: Job) -> Outcome | None:
        """How it ended; None if it is not this worker's to settle any more."""
        began = time.monotonic()
        try:
            self._handlers[job.kind](self._context(job))
        except LeaseLost:
            log.warning("job %s (%s) was taken over or cancelled", job.id, job.kind)
            return None
        except NotNow as reason:
            log.info("job %s (%s) is left to another process: %s", job.id, job.kind, reason)
            spent = time.monotonic() - began
            self._queue.postpone(job.id, self.name, seconds=reason.seconds, spent=spent)
            return None
        except (Exception, SystemExit) as error:
            if isinstance(error, ServiceUnavailable) and self._stopping.is_set():
                log.info("job %s (%s) was broken off by the end of this process", job.id, job.kind)
                return None
            # A library that calls sys.exit must not end the worker of all other jobs.
            log.exception("job %s (%s) failed, attempt %d", job.id, job.kind, job.attempts)
            return Outcome(
                job_id=job.id,
                error=_reason(error),
                retry_in=self._backoff(job.attempts),
                seconds=time.monotonic() - began,
            )
        return Outcome(job_id=job.id, seconds=time.monotonic() - began)

    def _context(self, job: Job) -> JobContext:
        due = float("-inf")

        def extend(progress: float | None) -> bool:
            nonlocal due
            if time.monotonic() < due and self._heart.holds(job.id):
                return True
            due = time.monotonic() + _BEAT_SECONDS
            return self._queue.heartbeat(
                job.id, self.name, seconds=self._lease_seconds, progress=progress
            )

        return JobContext(job, extend, self._stopping.is_set, lambda: self._heart.holds(job.id))

    def _backoff(self, attempts: int) -> float:
        """Exponential with full jitter (AWS Architecture Blog: Exponential Backoff And Jitter)."""
        ceiling = min(_BACKOFF_LIMIT, _BACKOFF_SECONDS * 2.0**attempts)
        return self._rng.uniform(_BACKOFF_SECONDS / 2, ceiling)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
