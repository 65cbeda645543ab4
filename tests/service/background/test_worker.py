import threading
import time

from memos.errors import ServiceUnavailable
from memos.scheduler import Foreground, NotNow, Worker
from memos.types import JobState, NewJob


def queue_job(service, **fields):
    given = {"tenant_id": "default", "cube_id": None, "kind": "test", **fields}
    return service.stores.jobs.enqueue(NewJob(**given))


def worker_with(service, handler, name="w1"):
    return Worker(service.stores.jobs, {"test": handler}, name=name, lease_seconds=5)


def test_a_job_runs_once_and_succeeds(service, memos):
    memos.add("so that the tenant exists")
    ran = []
    job = queue_job(service, payload={"n": 1})
    worker = worker_with(service, lambda context: ran.append(context.job.payload["n"]))
    assert worker.drain() == 1
    assert ran == [1]
    assert memos.job(job).state is JobState.SUCCEEDED


def test_a_failure_is_recorded_tried_again_and_at_last_dead(service, memos, clock):
    memos.add("so that the tenant exists")
    job = queue_job(service, max_attempts=2)

    def broken(context):
        raise ValueError("no luck")

    worker = worker_with(service, broken)
    assert worker.drain() == 1
    failed = memos.job(job)
    assert (failed.state, failed.attempts) == (JobState.FAILED, 1)
    assert "ValueError: no luck" in failed.error
    assert failed.run_at > clock.now
    assert not worker.run_one()
    clock.forward(minutes=10)
    assert worker.drain() == 1
    assert memos.job(job).state is JobState.DEAD
    memos.retry_job(job)
    assert memos.job(job).state is JobState.QUEUED


def test_a_dead_workers_job_is_taken_over(service, memos, clock):
    memos.add("so that the tenant exists")
    job = queue_job(service)
    taken = service.stores.jobs.lease("crashed", kinds=["test"], limit=1, seconds=30)
    assert [j.id for j in taken] == [job]
    worker = worker_with(service, lambda context: None)
    assert not worker.run_one()
    clock.forward(seconds=31)
    assert worker.run_one()
    assert memos.job(job).state is JobState.SUCCEEDED
    service.stores.jobs.finish(job, "crashed", error="late", retry_in=1)
    assert memos.job(job).state is JobState.SUCCEEDED


def test_two_workers_share_the_jobs(service, memos):
    memos.add("so that the tenant exists")
    ran, lock = [], threading.Lock()

    def handler(context):
        with lock:
            ran.append(context.job.id)

    ids = {queue_job(service) for _ in range(30)}
    workers = [worker_with(service, handler, name=f"w{n}") for n in range(4)]
    threads = [threading.Thread(target=w.drain) for w in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ran) == sorted(ids)


def test_stop_returns_leases(service, memos):
    memos.add("so that the tenant exists")
    started, go_on = threading.Event(), threading.Event()

    def slow(context):
        started.set()
        go_on.wait(60)

    worker = worker_with(service, slow)
    job = queue_job(service)
    worker.start()
    assert started.wait(60)
    (thread,) = worker._threads
    worker.stop(timeout=0.1)
    assert memos.job(job).state is JobState.QUEUED
    assert memos.job(job).attempts == 0
    go_on.set()
    thread.join(60)  # else it may settle the job on a store that is being closed


def test_a_dedupe_key_keeps_one_waiting(service, memos):
    memos.add("so that the tenant exists")
    assert queue_job(service, dedupe_key="k") == queue_job(service, dedupe_key="k")


def test_a_job_that_is_not_for_this_process_goes_back_uncounted(service, memos, clock):
    memos.add("so that the tenant exists")
    job = queue_job(service, max_attempts=1)

    def elsewhere(context):
        raise NotNow("another holds it", seconds=2)

    worker = worker_with(service, elsewhere)
    for _ in range(3):
        assert worker.run_one()
        waiting = memos.job(job)
        assert (waiting.state, waiting.attempts, waiting.error) == (JobState.QUEUED, 0, None)
        assert not worker.run_one()
        clock.forward(seconds=2)
    assert worker_with(service, lambda context: None, name="w2").run_one()
    assert memos.job(job).state is JobState.SUCCEEDED


def test_patient_jobs_do_not_hold_up_the_others(service, memos):
    memos.add("so that the tenant exists")
    started, go_on = threading.Event(), threading.Event()

    def long_one(context):
        started.set()
        go_on.wait(60)

    handlers = {"long": long_one, "short": lambda context: None}
    worker = Worker(
        service.stores.jobs, handlers, name="w", lease_seconds=30, patient={"long", "unknown"}
    )
    long, short = queue_job(service, kind="long"), queue_job(service, kind="short")
    worker.start()
    try:
        assert started.wait(60)  # each kind has a thread of its own: either may be first
        memos.wait_for(short, timeout=60)
        assert memos.job(long).state is JobState.RUNNING
        assert worker.running
        go_on.set()
        memos.wait_for(long, timeout=60)
    finally:
        go_on.set()
        worker.stop()
    assert not worker.running


def test_a_long_job_gives_itself_back_when_the_worker_stops(service, memos):
    memos.add("so that the tenant exists")
    started = threading.Event()

    def long(context):
        while True:
            started.set()
            context.check_stop()
            time.sleep(0.01)

    worker = Worker(service.stores.jobs, {"long": long}, name="w", lease_seconds=30)
    job = queue_job(service, kind="long", max_attempts=1)
    worker.start()
    assert started.wait(60)
    (thread,) = worker._threads
    worker.stop(timeout=60)
    assert not thread.is_alive()
    given_back = memos.job(job)
    assert (given_back.state, given_back.attempts) == (JobState.QUEUED, 0)


def test_a_job_that_is_broken_off_by_the_end_goes_back_uncounted(service, memos):
    memos.add("so that the tenant exists")
    job = queue_job(service, max_attempts=1)
    began, over = threading.Event(), threading.Event()

    def endless(context):
        began.set()
        assert over.wait(60)
        raise ServiceUnavailable("the service is stopping")

    worker = worker_with(service, endless)
    worker.start()
    assert began.wait(60)
    worker.stop(0.0, end=lambda: over.set() is None)
    waiting = memos.job(job)
    assert (waiting.state, waiting.attempts, waiting.error) == (JobState.QUEUED, 0, None)
    assert worker_with(service, lambda context: None, name="w2").run_one()


def test_background_work_waits_for_requests_but_not_for_ever():
    clock = [100.0]

    def sleep(seconds):
        clock[0] += seconds

    foreground = Foreground(now=lambda: clock[0], sleep=sleep)
    assert foreground.give_way(5)
    assert clock[0] == 100.0
    with foreground.request(), foreground.request():
        assert not foreground.give_way(5)
        assert 105.0 <= clock[0] < 105.1
    assert foreground.give_way(5)
    assert 105.0 < clock[0] < 105.2


def test_while_requests_come_background_work_has_a_tenth_of_the_time():
    clock = [100.0]

    def sleep(seconds):
        clock[0] += seconds

    foreground = Foreground(now=lambda: clock[0], sleep=sleep)
    pace = foreground.pace()
    assert pace.step()
    sleep(0.2)
    assert pace.step()
    assert clock[0] == 100.2
    with foreground.request():
        for worked, rested in ((0.01, 0.5), (0.2, 1.8), (60.0, 5.0)):
            pace.step()
            sleep(worked)
            before = clock[0]
            assert not pace.step()
            assert rested <= clock[0] - before < rested + 0.1


def test_a_worker_takes_only_the_kinds_it_is_told(service, memos):
    memos.add("so that the tenant exists")
    handlers = dict.fromkeys(("one", "two", "three"), lambda context: None)
    jobs = {kind: queue_job(service, kind=kind) for kind in handlers}
    worker = Worker(service.stores.jobs, handlers, name="w", lease_seconds=5)
    worker.start(only={"one", "two"}, leave={"two"})
    memos.wait_for(jobs["one"], timeout=60)
    worker.stop()
    states = {kind: memos.job(job).state for kind, job in jobs.items()}
    assert (states["two"], states["three"]) == (JobState.QUEUED, JobState.QUEUED)


def test_a_handler_that_exits_is_a_failure_like_any_other(service, memos):
    memos.add("so that the tenant exists")
    job = queue_job(service, max_attempts=1)
    other = queue_job(service)

    def leaves(context):
        if context.job.id == job:
            raise SystemExit("a library gave up")

    assert worker_with(service, leaves).drain() == 2
    assert (memos.job(job).state, memos.job(other).state) == (JobState.DEAD, JobState.SUCCEEDED)
    assert memos.job(job).error == "SystemExit: a library gave up"
