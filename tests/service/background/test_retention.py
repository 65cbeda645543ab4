"""What is kept of jobs and events, and for how long."""

from __future__ import annotations

import pytest

from memos.assembly import build
from memos.config import load
from memos.errors import InvalidSetting, JobNotFound
from memos.service.background.retention import OF_NO_CUBE
from memos.testing import HashEmbedder
from memos.types import JobState, NewJob


def ended(service, job_id: str, *, error: str | None = None) -> str:
    service.stores.jobs.lease("w", kinds=["test"], limit=1, seconds=9)
    service.stores.jobs.finish(job_id, "w", error=error)
    return job_id


def queued(service) -> str:
    return service.stores.jobs.enqueue(NewJob(tenant_id="default", cube_id=None, kind="test"))


def pruned(service, clock) -> None:
    """Until the shipped schedule comes round, and its job is done."""
    service.retention.schedule()
    [own] = service.stores.timetable.all(OF_NO_CUBE)
    clock.now = max(clock.now, own.next_at)
    assert service.schedules.fire() == 1
    service.worker.drain()


def test_what_is_old_goes_and_what_somebody_needs_stays(service, memos, clock, monkeypatch) -> None:
    monkeypatch.setattr("memos.service.background.retention._PART", 3)
    living, erased = (m.id for m in memos.add(["The pier is closed.", "The code is 7."]).memories)
    memos.archive(living, reason="winter")
    memos.archive(erased, reason="it says 7")
    memos.erase(erased)
    done = [ended(service, queued(service)) for _ in range(7)]
    dead = ended(service, queued(service), error="no luck")
    stopped = queued(service)
    memos.cancel_job(stopped)
    history = memos.history(living)

    clock.forward(days=29)
    pruned(service, clock)
    assert memos.job(done[0]).state is JobState.SUCCEEDED, "not a month old"
    clock.forward(days=2)
    waiting = queued(service)
    pruned(service, clock)
    for gone in (*done, stopped):
        with pytest.raises(JobNotFound):
            memos.job(gone)
    assert memos.job(dead).state is JobState.DEAD
    assert memos.job(waiting).state is JobState.QUEUED
    assert memos.events(kinds=["job.succeed"]).items, "events are kept longer"

    clock.forward(days=340)
    pruned(service, clock)
    kinds = [event.kind for event in memos.events(limit=50).items]
    # In this order; what the last run itself was and did is news.
    assert kinds[:3] == ["memory.archive", "memory.erase", "job.dead"]
    assert not {"job.cancel", "memory.archive"} & set(kinds[3:])
    assert [event.reason for event in memos.explain(living).events] == ["winter"]
    assert memos.explain(dead).events[0].reason == "no luck"
    assert memos.history(living) == history
    told = memos.events(kinds=["retention.prune"], limit=50).items[-1]
    assert told.numbers["event_days"] == 365
    assert told.numbers["events"] >= 8
    before = memos.events(limit=50).items
    assert [event.seq for event in memos.events(after=before[0].seq, limit=50).items] == [
        event.seq for event in before[1:]
    ]


def test_the_schedule_is_as_the_settings_have_it(clock, data_dir) -> None:
    def service(**settings):
        return build(load(extraction="none", **settings), embedder=HashEmbedder(), clock=clock)

    def crons() -> list[str]:
        made.retention.schedule()
        return [one.cron for one in made.stores.timetable.all(OF_NO_CUBE)]

    for settings, expected in (
        ({}, ["30 3 * * *"]),
        ({"prune_cron": "0 5 * * 0"}, ["0 5 * * 0"]),
        ({"prune_cron": ""}, []),
    ):
        made = service(**settings)
        assert crons() == expected
        made.close()
    with pytest.raises(InvalidSetting, match="prune_cron"):
        service(prune_cron="at night")
