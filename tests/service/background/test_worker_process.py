"""Workers as processes: a job that kills them, a kind that nobody knows, a cube that goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import memos
from memos.assembly import build
from memos.benchmarks.scheduling.worker import LEDGER
from memos.config import load
from memos.scheduler import Worker
from memos.service import DEFAULT_TENANT, MemoryOS, Service
from memos.testing import HashEmbedder
from memos.types import JobState, NewJob

LEASE = "0.5"
PATIENCE = 60.0
"""Seconds; starting a process takes long where many tests run beside."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = build(load(data_dir=tmp_path), embedder=HashEmbedder())
    yield made
    made.close()


@pytest.fixture
def memory(service: Service) -> MemoryOS:
    return service.tenant(DEFAULT_TENANT)


@contextmanager
def worker(folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """A process that does deeds, naps, and what kills it; knows no other kinds."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "memos.benchmarks.scheduling.worker"),
            *(f"sqlite:///{folder / 'memos.db'}", name, LEASE),
        ],
        env={**os.environ, "PYTHONPATH": str(Path(memos.__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)


def queued(service: Service, kind: str, **fields: Any) -> str:
    given = {"tenant_id": DEFAULT_TENANT, "cube_id": None, "kind": kind, **fields}
    return service.stores.jobs.enqueue(NewJob(**given))


def test_a_job_that_kills_its_worker_ends_in_the_dead_letter_and_no_other_job_is_lost(
    service: Service, memory: MemoryOS, tmp_path: Path
) -> None:
    queue: Any = service.stores.jobs
    with queue._db.write() as connection:
        connection.execute(text(LEDGER))
    deeds = [
        queued(service, "deed", payload={"amount": 1, "seconds": 0.01}, max_attempts=5)
        for _ in range(12)
    ]
    poison = queued(service, "poison", max_attempts=2)
    unknown = queued(service, "of a later version")

    with ExitStack() as running:
        for number in range(2):
            process = running.enter_context(worker(tmp_path, f"w{number}"))
            assert process.wait(PATIENCE) == -signal.SIGKILL
        running.enter_context(worker(tmp_path, "w2"))
        until(lambda: memory.job(poison).state is JobState.DEAD)
        until(lambda: all(memory.job(id).state is JobState.SUCCEEDED for id in deeds))
    with queue._db.read() as connection:
        entered = connection.execute(text("SELECT count(*), sum(amount) FROM ledger")).one()
    assert tuple(entered) == (12, 12), "each deed was done once in effect"
    dead = memory.job(poison)
    assert dead.attempts == 2
    assert "stopped answering" in (dead.error or "")
    assert memory.job(unknown).state is JobState.QUEUED, "old code leaves it to newer"
    assert {event.kind for event in memory.events(limit=50).items} >= {"job.lost", "job.dead"}

    memory.retry_job(poison)
    mended = Worker(
        queue,
        {"poison": lambda context: None, "of a later version": lambda context: None},
        name="mended",
        lease_seconds=5,
    )
    assert mended.drain() == 2
    for id in (poison, unknown):
        assert memory.job(id).state is JobState.SUCCEEDED


def test_a_cube_that_is_deleted_while_a_process_works_on_it_takes_its_waiting_jobs_along(
    service: Service, memory: MemoryOS, tmp_path: Path
) -> None:
    cube = memory.create_cube("doomed")
    texts = [f"I {verb} a lamp in May." for verb in ("bought", "sold", "lost")]
    memory.add(texts, cube="doomed", session_id="s")
    awake = tmp_path / "awake"
    asleep = {"seconds": 0, "until": str(awake)}
    nap = queued(service, "nap", payload=asleep, cube_id=cube.id)
    with worker(tmp_path, "w0"):
        until(lambda: memory.job(nap).state is JobState.RUNNING)
        memory.delete_cube("doomed")
        awake.touch()
        until(lambda: memory.job(nap).state is JobState.SUCCEEDED)
    left = service.stores.jobs.page(DEFAULT_TENANT, cube_id=cube.id, limit=50)
    assert {job.state for job in left if job.id != nap} == {JobState.CANCELLED}
    service.worker.drain()
    ended = {job.state for job in memory.jobs(limit=50).items}
    assert ended == {JobState.CANCELLED, JobState.SUCCEEDED}
