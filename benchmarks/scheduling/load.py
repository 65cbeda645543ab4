"""Real workers on a real queue: how many jobs a second, and how fair."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from memos.benchmarks.scheduling.crew import crew
from memos.benchmarks.scheduling.worker import handlers, open_queue
from memos.identity import utc_now
from memos.protocols import Stores
from memos.scheduler import Worker
from memos.types import Job, JobState, NewJob

_PART = 500
_PATIENCE = 300.0


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


def await_end(stores: Stores, *, tick: Any = lambda: None) -> None:
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
            await_end(stores)
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
    any and while another tenant has `backlog` of the same kind, in ms; and how many of these begin
    between its queueing and its own beginning. One worker, woken as the service wakes its own."""
    stores, enter = open_queue(url)
    worker = Worker(stores.jobs, handlers(enter), name="worker", lease_seconds=30)
    worker.start()
    try:
        idle = [_single(stores, worker, seconds) for _ in range(looks)]
        _fill(stores, backlog, seconds)
        worker.wake()
        time.sleep(0.5)
        busy: list[Job] = []
        deadline = time.monotonic() + _PATIENCE
        while len(busy) < looks:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the backlog was gone before each look of {_PATIENCE:g} s")
            _fill(stores, backlog, seconds)
            job = _single(stores, worker, seconds)
            if _begun(stores, after=job.created_at) or left(stores):  # they were there
                busy.append(job)
        return {
            "idle_ms": [_ms(job) for job in idle],
            "busy_ms": [_ms(job) for job in busy],
            "before": [_begun(stores, after=job.created_at, by=job.started_at) for job in busy],
        }
    finally:
        worker.stop()
        stores.health.close()


def _fill(stores: Stores, backlog: int, seconds: float) -> None:
    """As many jobs wait as there were at first: a slow look does not use them up."""
    nap = NewJob(tenant_id="busy", cube_id=None, kind="nap", payload={"seconds": seconds})
    put(stores, [nap] * (backlog - left(stores)))


def _single(stores: Stores, worker: Worker, seconds: float) -> Job:
    job_id = stores.jobs.enqueue(
        NewJob(tenant_id="single", cube_id=None, kind="nap", payload={"seconds": seconds})
    )
    worker.wake()
    while (job := stores.jobs.get("single", job_id)).state is not JobState.SUCCEEDED:
        time.sleep(0.002)
    time.sleep(random.random() * 0.1)
    return job


def _ms(job: Job) -> float:
    assert job.finished_at is not None
    return (job.finished_at - job.created_at).total_seconds() * 1000


def _begun(stores: Stores, *, after: datetime | None, by: datetime | None = None) -> int:
    """Jobs of the busy tenant by their own times; up to now if it isn't said up to when."""
    from sqlalchemy import text

    assert after is not None
    queue: Any = stores.jobs
    with queue._db.read() as connection:
        (count,) = connection.execute(
            text(
                "SELECT count(*) FROM job WHERE tenant_id = 'busy'"
                " AND started_at > :after AND started_at < :by"
            ),
            {"after": _micros(after), "by": _micros(by or utc_now())},
        ).one()
    return int(count)


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)
