"""Real workers on a real queue: how many jobs a second, how fair, and what survives `kill -9`."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import memos
from memos.benchmarks.scheduler_worker import LEDGER, handlers, open_queue
from memos.protocols import Stores
from memos.scheduler import Worker
from memos.types import JobState, NewJob

_PART = 500
_PATIENCE = 300.0


class Crew:
    """Worker processes."""

    def __init__(self, url: str, count: int, *, lease: float) -> None:
        self._url, self._lease = url, lease
        self._born = 0
        self._processes = [self._start() for _ in range(count)]
        self._ready: set[subprocess.Popen[str]] = set()

    def _start(self) -> subprocess.Popen[str]:
        self._born += 1
        root = str(Path(memos.__file__).resolve().parents[1])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "memos.benchmarks.scheduler_worker"),
                *(self._url, f"worker-{self._born}", str(self._lease)),
            ],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ready(self) -> None:
        for process in self._processes:
            if process not in self._ready:
                assert process.stdout is not None
                process.stdout.readline()
                self._ready.add(process)

    def kill_one(self, chance: random.Random) -> None:
        """SIGKILL to one that is chosen by chance; another takes its place and is waited for, so
        that the next kill finds all at work."""
        number = chance.randrange(len(self._processes))
        _kill(self._processes[number])
        self._processes[number] = self._start()
        self.ready()

    def replace_dead(self) -> int:
        """Starts others for those that have ended by themselves; how many."""
        dead = [n for n, process in enumerate(self._processes) if process.poll() is not None]
        for number in dead:
            _kill(self._processes[number])
            self._processes[number] = self._start()
        return len(dead)

    def stop(self) -> None:
        for process in self._processes:
            _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    if process.stdout is not None:
        process.stdout.close()


@contextmanager
def crew(url: str, count: int, *, lease: float) -> Iterator[Crew]:
    made = Crew(url, count, lease=lease)
    try:
        yield made
    finally:
        made.stop()


def put(stores: Stores, jobs: Sequence[NewJob]) -> None:
    """Queues many jobs, some hundreds per transaction."""
    queue: Any = stores.jobs
    for start in range(0, len(jobs), _PART):
        with queue._db.write() as connection:
            queue.add(connection, jobs[start : start + _PART])


def left(stores: Stores) -> int:
    """Jobs that wait or run."""
    counts = stores.jobs.counts()
    return sum(n for (_, state), n in counts.items() if state in ("queued", "failed", "running"))


def _await_end(stores: Stores, *, tick: Any = lambda: None) -> None:
    deadline = time.monotonic() + _PATIENCE
    while left(stores):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{left(stores)} jobs are left after {_PATIENCE:g} s")
        tick()
        time.sleep(0.1)


def throughput(url: str, *, jobs: int, workers: int) -> dict[str, Any]:
    """Jobs that do nothing, four tenants, from the first lease to the last end."""
    stores, _ = open_queue(url)
    try:
        with crew(url, workers, lease=30) as made:
            made.ready()
            time.sleep(1.0)
            news = [NewJob(tenant_id=f"t{n % 4}", cube_id=None, kind="noop") for n in range(jobs)]
            began = time.monotonic()
            put(stores, news)
            queued = time.monotonic() - began
            _await_end(stores)
        span = _span(stores)
        return {
            "jobs": jobs,
            "workers": workers,
            "jobs_per_s": round(jobs / span, 1),
            "span_s": round(span, 3),
            "queued_per_s": round(jobs / queued, 1),
        }
    finally:
        stores.health.close()


def _span(stores: Stores) -> float:
    """From the first start to the last end, by the jobs' own times."""
    from sqlalchemy import text

    queue: Any = stores.jobs
    with queue._db.read() as connection:
        first, last = connection.execute(
            text("SELECT min(started_at), max(finished_at) FROM job")
        ).one()
    return max(1e-6, float(last - first) / 1e6)


def fairness(url: str, *, backlog: int, looks: int, seconds: float) -> dict[str, list[float]]:
    """How long a single job of a tenant takes from its queueing to its end, while nobody else has
    any and while another tenant has `backlog` of the same kind. One worker, woken as the service
    wakes its own. In ms."""
    stores, enter = open_queue(url)
    worker = Worker(stores.jobs, handlers(enter), name="worker", lease_seconds=30)
    worker.start()
    try:
        idle = [_single(stores, worker, seconds) for _ in range(looks)]
        put(
            stores,
            [
                NewJob(tenant_id="busy", cube_id=None, kind="nap", payload={"seconds": seconds})
                for _ in range(backlog)
            ],
        )
        worker.wake()
        time.sleep(0.5)
        busy = [_single(stores, worker, seconds) for _ in range(looks)]
        if not left(stores):
            raise RuntimeError("the backlog was gone before the last look; give a longer one")
        return {"idle_ms": idle, "busy_ms": busy}
    finally:
        worker.stop()
        stores.health.close()


def _single(stores: Stores, worker: Worker, seconds: float) -> float:
    job_id = stores.jobs.enqueue(
        NewJob(tenant_id="single", cube_id=None, kind="nap", payload={"seconds": seconds})
    )
    worker.wake()
    while (job := stores.jobs.get("single", job_id)).state is not JobState.SUCCEEDED:
        time.sleep(0.002)
    assert job.finished_at is not None
    time.sleep(random.random() * 0.1)
    return (job.finished_at - job.created_at).total_seconds() * 1000


def kills(url: str, *, jobs: int, times: int, workers: int, seed: int) -> dict[str, Any]:
    """`kill -9` of workers at random while they do deeds; what the ledger says afterwards."""
    from sqlalchemy import text

    chance = random.Random(seed)
    stores, _ = open_queue(url)
    queue: Any = stores.jobs
    try:
        with queue._db.write() as connection:
            connection.execute(text(LEDGER))
        amounts = [chance.randrange(1, 1000) for _ in range(jobs)]
        put(stores, [_deed(n, amount, chance) for n, amount in enumerate(amounts)])
        put(stores, [NewJob(tenant_id="t0", cube_id=None, kind="poison", max_attempts=2)])
        poisoned = 0
        with crew(url, workers, lease=1.0) as made:
            made.ready()
            for _ in range(times):
                time.sleep(chance.uniform(0.0, 0.3))
                poisoned += made.replace_dead()
                made.kill_one(chance)
            died = threading.Event()

            def tick() -> None:
                nonlocal poisoned
                poisoned += made.replace_dead()
                died.set()

            _await_end(stores, tick=tick)
        with queue._db.read() as connection:
            entries, total = connection.execute(
                text("SELECT count(*), sum(amount) FROM ledger")
            ).one()
            attempts = connection.execute(
                text("SELECT sum(attempts) FROM job WHERE kind = 'deed'")
            ).scalar_one()
        counts = stores.jobs.counts()
        return {
            "jobs": jobs,
            "kills": times,
            "workers": workers,
            "succeeded": counts.get(("deed", "succeeded"), 0),
            "dead": counts.get(("deed", "dead"), 0),
            "in_ledger": entries,
            "lost": jobs - entries,
            "sum_is_right": int(total or 0) == sum(amounts),
            "attempts": int(attempts),
            "poison_dead": counts.get(("poison", "dead"), 0),
            "workers_poisoned": poisoned,
        }
    finally:
        stores.health.close()


def _deed(number: int, amount: int, chance: random.Random) -> NewJob:
    return NewJob(
        tenant_id=f"t{number % 4}",
        cube_id=None,
        kind="deed",
        payload={"amount": amount, "seconds": round(chance.uniform(0.001, 0.02), 4)},
        max_attempts=10,
    )
