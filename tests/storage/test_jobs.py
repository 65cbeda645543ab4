"""JobQueue: leases, stealing, attempts, dedupe keys, release and retry."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from memos.errors import InvalidInput, JobNotFound, StateConflict
from memos.graph.deriving.validity import Rules
from memos.protocols import Stores
from memos.scheduler import Policy
from memos.storage import open_stores
from memos.types import Job, JobState, NewJob, Outcome
from tests.storage.samples import Clock, new_id


def queue(stores: Stores, kind: str = "work", **fields: object) -> str:
    return stores.jobs.enqueue(
        NewJob(**{"tenant_id": "t1", "cube_id": None, "kind": kind, **fields})
    )


def lease(stores: Stores, worker: str = "w1", *, limit: int = 10, seconds: float = 30) -> list[str]:
    found = stores.jobs.lease(worker, kinds=("work",), limit=limit, seconds=seconds)
    return [job.id for job in found]


def get(stores: Stores, job_id: str) -> Job:
    return stores.jobs.get("t1", job_id)


def test_a_job_from_queue_to_success(stores: Stores, clock: Clock) -> None:
    at = clock()
    job_id = queue(stores, payload={"ids": ["ä", 1]}, cube_id="c", max_attempts=3)
    assert get(stores, job_id) == Job(
        id=job_id, tenant_id="t1", cube_id="c", kind="work", state=JobState.QUEUED,
        payload={"ids": ["ä", 1]}, attempts=0, max_attempts=3, progress=0.0, error=None, run_at=at,
        created_at=at, started_at=None, finished_at=None,
    )  # fmt: skip
    started = clock.forward(1)
    (job,) = stores.jobs.lease("w1", kinds=("other", "work"), limit=1, seconds=30)
    assert (job.id, job.state, job.attempts, job.started_at) == (
        job_id,
        JobState.RUNNING,
        1,
        started,
    )
    assert lease(stores, "w2") == []
    assert stores.jobs.heartbeat(job_id, "w1", seconds=30, progress=0.5)
    assert get(stores, job_id).progress == 0.5
    finished = clock.forward(1)
    stores.jobs.finish(job_id, "w1")
    done = get(stores, job_id)
    assert (done.state, done.progress, done.finished_at, done.error) == (
        JobState.SUCCEEDED,
        1.0,
        finished,
        None,
    )
    assert lease(stores) == []
    assert not stores.jobs.heartbeat(job_id, "w1", seconds=30)


def test_due_jobs_are_taken_oldest_first_and_by_kind(stores: Stores, clock: Clock) -> None:
    queue(stores, "other")
    ids = []
    for _ in range(4):
        ids.append(queue(stores))
        clock.forward(1)
    later = queue(stores, run_at=clock.now.replace(year=2025))
    assert lease(stores, limit=3) == ids[:3]
    assert lease(stores, limit=3) == ids[3:]
    assert stores.jobs.lease("w", kinds=(), limit=9, seconds=1) == []
    clock.now = clock.now.replace(year=2026)
    # What a worker that died may have begun comes one by one.
    assert [id for _ in range(5) for id in lease(stores, "w2")] == [*ids, later]


def test_an_expired_lease_is_taken_over(stores: Stores, clock: Clock) -> None:
    job_id = queue(stores)
    assert lease(stores, "w1", seconds=30) == [job_id]
    clock.forward(29)
    assert lease(stores, "w2") == []
    assert stores.jobs.heartbeat(job_id, "w1", seconds=30)
    clock.forward(29)
    assert lease(stores, "w2") == []
    clock.forward(1)
    assert lease(stores, "w2") == [job_id]
    assert get(stores, job_id).attempts == 2
    assert not stores.jobs.heartbeat(job_id, "w1", seconds=30)
    stores.jobs.finish(job_id, "w1")
    assert get(stores, job_id).state is JobState.RUNNING
    stores.jobs.finish(job_id, "w2")
    assert get(stores, job_id).state is JobState.SUCCEEDED


def test_what_a_worker_does_not_work_on_any_more_runs_out(stores: Stores, clock: Clock) -> None:
    """Its end could not be recorded; the worker goes on with others, and its beats with it."""
    works, lost = queue(stores), queue(stores)
    assert lease(stores, "w1", seconds=30) == [works, lost]
    clock.forward(20)
    assert stores.jobs.extend("w1", [works], seconds=30) == {works}
    clock.forward(15)
    assert lease(stores, "w2") == [lost]
    assert stores.jobs.extend("w1", [works, lost], seconds=30) == {works}


def test_a_worker_that_dies_again_and_again_ends_in_dead(stores: Stores, clock: Clock) -> None:
    job_id = queue(stores, max_attempts=2)
    for worker in ("w1", "w2"):
        assert lease(stores, worker, seconds=5) == [job_id]
        clock.forward(5)
    assert lease(stores, "w3") == []
    dead = get(stores, job_id)
    assert (dead.state, dead.attempts, dead.finished_at) == (JobState.DEAD, 2, clock())
    assert "stopped answering" in dead.error


def test_failures_are_tried_again_until_attempts_are_used_up(stores: Stores, clock: Clock) -> None:
    job_id = queue(stores, max_attempts=2)
    lease(stores)
    stores.jobs.finish(job_id, "w1", error="first", retry_in=10)
    failed = get(stores, job_id)
    assert (failed.state, failed.error) == (JobState.FAILED, "first")
    assert (failed.run_at - clock()).total_seconds() == 10
    assert lease(stores) == []
    clock.forward(10)
    assert lease(stores) == [job_id]
    stores.jobs.finish(job_id, "w1", error="second", retry_in=10)
    assert (get(stores, job_id).state, get(stores, job_id).error) == (JobState.DEAD, "second")
    clock.forward(100)
    assert lease(stores) == []


def test_an_error_without_retry_is_final(stores: Stores) -> None:
    job_id = queue(stores)
    lease(stores)
    stores.jobs.finish(job_id, "w1", error="bad \0 text \ud800" + "x" * 100_000)
    found = get(stores, job_id)
    assert found.state is JobState.DEAD
    assert found.error.startswith("bad")
    assert len(found.error) <= 10_000


def test_retry_gives_fresh_attempts(stores: Stores, clock: Clock) -> None:
    job_id = queue(stores, max_attempts=1)
    with pytest.raises(StateConflict, match="queued"):
        stores.jobs.retry("t1", job_id)
    lease(stores)
    with pytest.raises(StateConflict, match="running"):
        stores.jobs.retry("t1", job_id)
    stores.jobs.finish(job_id, "w1", error="x", retry_in=1)
    clock.forward(50)
    again = stores.jobs.retry("t1", job_id)
    assert (again.state, again.attempts, again.error, again.run_at, again.finished_at) == (
        JobState.QUEUED,
        0,
        None,
        clock(),
        None,
    )
    assert lease(stores) == [job_id]
    for tenant, name in (("t2", job_id), ("t1", "unknown")):
        with pytest.raises(JobNotFound):
            stores.jobs.retry(tenant, name)
        with pytest.raises(JobNotFound):
            stores.jobs.get(tenant, name)


def test_release_gives_back_uncounted(stores: Stores, clock: Clock) -> None:
    ids = [queue(stores, max_attempts=2) for _ in range(3)]
    assert lease(stores, "w1", limit=2) == ids[:2]
    assert lease(stores, "w2") == ids[2:]
    assert stores.jobs.release("w1") == 2
    assert stores.jobs.release("w1") == 0
    assert [get(stores, job_id).state for job_id in ids] == [
        JobState.QUEUED,
        JobState.QUEUED,
        JobState.RUNNING,
    ]
    assert get(stores, ids[0]).attempts == 0
    assert lease(stores, "w3") == ids[:2]


def test_one_job_waits_per_dedupe_key(stores: Stores, clock: Clock) -> None:
    first = queue(stores, dedupe_key="k")
    assert queue(stores, dedupe_key="k") == first
    assert queue(stores, dedupe_key="other") != first
    assert queue(stores, dedupe_key="k", tenant_id="t2") != first
    assert first in lease(stores)
    second = queue(stores, dedupe_key="k")
    assert second != first
    stores.jobs.finish(second, "w1")
    assert queue(stores, dedupe_key="k") == second
    stores.jobs.finish(first, "w1")
    lease(stores)
    stores.jobs.finish(second, "w1", error="x", retry_in=60)
    assert queue(stores, dedupe_key="k") == second


@pytest.mark.parametrize("way", ["fail", "release", "retry"])
def test_a_job_that_waits_again_beside_its_twin_is_not_lost(
    stores: Stores, clock: Clock, way: str
) -> None:
    first = queue(stores, dedupe_key="k")
    lease(stores)
    second = queue(stores, dedupe_key="k")
    if way == "fail":
        stores.jobs.finish(first, "w1", error="x", retry_in=0)
    elif way == "release":
        assert stores.jobs.release("w1") == 1
    else:
        stores.jobs.finish(first, "w1", error="x")
        stores.jobs.retry("t1", first)
    assert queue(stores, dedupe_key="k") == second
    # What was tried before comes alone.
    assert sorted(lease(stores) + lease(stores)) == sorted([first, second])


def test_pages_are_newest_first_and_filtered(stores: Stores) -> None:
    ids = [queue(stores, cube_id=f"c{n % 2}") for n in range(6)]
    lease(stores, limit=2)
    queue(stores, tenant_id="t2")

    def page(**asked: object) -> list[str]:
        return [job.id for job in stores.jobs.page("t1", **{"limit": 9, **asked})]

    assert page() == ids[::-1]
    assert page(limit=2) == [ids[5], ids[4]]
    assert page(before=ids[4], limit=2) == [ids[3], ids[2]]
    assert page(cube_id="c1") == [ids[5], ids[3], ids[1]]
    assert page(states=[JobState.RUNNING]) == [ids[1], ids[0]]
    assert page(states=[JobState.RUNNING, JobState.QUEUED], cube_id="c0", before=ids[2]) == [ids[0]]


def test_counts_are_over_all_tenants(stores: Stores) -> None:
    assert stores.jobs.counts() == {}
    queue(stores)
    queue(stores, tenant_id="t2")
    queue(stores, "other")
    lease(stores, limit=1)
    assert stores.jobs.counts() == {
        ("work", "running"): 1,
        ("work", "queued"): 1,
        ("other", "queued"): 1,
    }


def test_what_no_database_can_hold_is_refused(stores: Stores) -> None:
    for fields in ({"kind": "a\0"}, {"dedupe_key": "\ud800"}, {"payload": {"x": float("inf")}}):
        with pytest.raises(InvalidInput):
            queue(stores, **fields)


def test_each_job_is_held_by_one_of_many_workers(stores: Stores) -> None:
    ids = {queue(stores) for _ in range(60)}
    start = threading.Barrier(6)

    def work(name: str) -> list[str]:
        start.wait()
        mine = []
        while taken := lease(stores, name, limit=3):
            for job_id in taken:
                stores.jobs.finish(job_id, name)
            mine += taken
        return mine

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(work, [f"w{n}" for n in range(6)]))
    assert Counter(job_id for mine in done for job_id in mine) == Counter(ids)
    # A worker may find nothing while others hold the rest, never the other way round.
    assert stores.jobs.counts() == {("work", "succeeded"): 60}


def test_many_threads_queue_one_job_per_key(stores: Stores) -> None:
    start = threading.Barrier(8)

    def add(_: int) -> str:
        start.wait()
        return queue(stores, dedupe_key="k")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(add, range(8)))) == 1
    assert len(stores.jobs.page("t1", limit=9)) == 1


def test_another_tenants_job_comes_before_a_backlog(stores: Stores, clock: Clock) -> None:
    for _ in range(50):
        queue(stores)
    lease(stores, limit=5)
    clock.forward(1)
    single = queue(stores, tenant_id="t2")
    assert lease(stores, "w2", limit=1) == [single]


def test_what_a_run_cost_decides_who_is_next_and_how_urgent_its_kind_is(
    stores: Stores, clock: Clock
) -> None:
    mine = [queue(stores) for _ in range(3)]
    theirs = [queue(stores, tenant_id="t2") for _ in range(3)]
    assert lease(stores, limit=2) == [mine[0], theirs[0]]
    outcomes = [Outcome(job_id=mine[0], seconds=5.0), Outcome(job_id=theirs[0], seconds=0.1)]
    stores.jobs.settle("w1", outcomes)
    # t1 owes five seconds of work, t2 a tenth.
    assert lease(stores, limit=2) == theirs[1:]
    assert stores.jobs.get("t1", mine[0]).seconds == 5.0
    [report] = stores.jobs.report(None)
    assert (report.kind, report.runs, report.run_seconds) == ("work", 2, pytest.approx(5.1))
    assert (report.queued, report.running) == (2, 2)


def test_a_job_that_ran_long_and_failed_falls(stores: Stores, clock: Clock) -> None:
    job_id = queue(stores)
    lease(stores)
    stores.jobs.settle("w1", [Outcome(job_id=job_id, error="x", retry_in=1, seconds=30.0)])
    assert get(stores, job_id).level == 3
    assert stores.jobs.retry("t1", job_id).level == 0


def test_a_newer_payload_is_left_to_workers_that_know_it(stores: Stores) -> None:
    new = queue(stores, version=2)
    old = queue(stores)

    def taken(known: dict[str, int]) -> list[str]:
        return [j.id for j in stores.jobs.lease("w", kinds=known, limit=9, seconds=30)]

    assert taken({"other": 9}) == []
    assert taken({"work": 1}) == [old]
    assert taken({"work": 1}) == []
    assert get(stores, new).state is JobState.QUEUED
    assert taken({"work": 2}) == [new]


def test_no_more_of_a_kind_run_than_its_limit_allows(url: str, clock: Clock) -> None:
    policy = Policy(limits={"work": 3}, batch=3600.0)
    made = open_stores(url, new_id=new_id, clock=clock, derivation=Rules(), policy=policy)
    ids = [queue(made) for _ in range(12)]
    other = queue(made, "other")
    start = threading.Barrier(4)

    def take(name: str) -> list[str]:
        start.wait()
        return lease(made, name, limit=2)

    with ThreadPoolExecutor(4) as pool:
        held = [job_id for mine in pool.map(take, "abcd") for job_id in mine]
    assert len(held) == len(set(held)) == 3
    assert lease(made) == []
    assert [j.id for j in made.jobs.lease("w", kinds=["other"], limit=1, seconds=9)] == [other]
    for name in "abcd":
        made.jobs.finish(held[0], name)
    assert len(lease(made)) == 1
    assert set(held) < set(ids)
    made.health.close()


def test_a_cancelled_job_is_taken_from_its_worker(stores: Stores) -> None:
    waits, runs = queue(stores), queue(stores)
    stores.jobs.stop("t1", waits, reason="not needed", actor="ana")
    assert lease(stores) == [runs]
    done = stores.jobs.stop("t1", runs, reason=None, actor=None)
    assert (done.state, done.error) == (JobState.CANCELLED, "it was cancelled")
    assert not stores.jobs.heartbeat(runs, "w1", seconds=30)
    assert stores.jobs.extend("w1", [runs], seconds=30) == frozenset()
    stores.jobs.finish(runs, "w1")
    assert get(stores, runs).state is JobState.CANCELLED
    with pytest.raises(StateConflict, match="cancelled already"):
        stores.jobs.stop("t1", runs, reason=None, actor=None)
    with pytest.raises(JobNotFound):
        stores.jobs.stop("t2", waits, reason=None, actor=None)
    [told] = stores.events.about("t1", waits, limit=9)
    assert (told.kind, told.reason, told.actor) == ("job.cancel", "not needed", "ana")
    assert stores.jobs.retry("t1", waits).state is JobState.QUEUED


def test_what_kills_its_worker_takes_nothing_along(stores: Stores, clock: Clock) -> None:
    ids = [queue(stores, max_attempts=3) for _ in range(4)]
    assert lease(stores) == ids  # and the worker dies of the first
    clock.forward(31)
    done = []
    for _ in range(8):
        taken = lease(stores, "w2")
        assert len(taken) <= 1
        if taken == [ids[0]]:
            clock.forward(31)  # dies again
        elif taken:
            stores.jobs.finish(taken[0], "w2")
            done += taken
    assert sorted(done) == ids[1:]
    assert get(stores, ids[0]).state is JobState.DEAD
    kinds = [event.kind for event in stores.events.about("t1", ids[0], limit=9)]
    assert kinds == ["job.lost", "job.lost", "job.dead"]


def test_a_clock_that_is_set_back_keeps_no_job_waiting(stores: Stores, clock: Clock) -> None:
    held = queue(stores)
    lease(stores)
    soon = queue(stores, run_at=clock.now + timedelta(minutes=1))
    clock.forward(-86400)
    assert lease(stores, "w2") == [held]  # its lease would have lasted for another day
    stores.jobs._mended = float("-inf")
    stores.jobs.finish(held, "w2")
    assert lease(stores, "w2") == []
    clock.forward(61)
    assert lease(stores, "w2") == [soon]
