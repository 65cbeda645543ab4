"""Times of cron expressions, and schedules that fire once, whatever the number of workers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from memos.errors import InvalidInput
from memos.scheduler.cron import next_time
from tests.postgres import postgres_server, postgres_url
from tests.service.conftest import clock, memos, service

__all__ = ["clock", "memos", "postgres_server", "postgres_url", "service"]


def utc(*fields: int) -> datetime:
    return datetime(*fields, tzinfo=timezone.utc)


def test_times_follow_the_zone_through_a_change_of_the_clocks():
    night = "30 1 * * *"
    assert next_time(night, "UTC", utc(2024, 3, 30, 2)) == utc(2024, 3, 31, 1, 30)
    # 1:30 does not exist that night in Lisbon, and comes twice in October.
    assert next_time(night, "Europe/Lisbon", utc(2024, 3, 30, 12)) == utc(2024, 3, 31, 1)
    assert next_time(night, "Europe/Lisbon", utc(2024, 10, 26, 12)) == utc(2024, 10, 27, 0, 30)
    assert next_time(night, "Europe/Lisbon", utc(2024, 10, 27, 0, 30)) == utc(2024, 10, 28, 1, 30)
    with pytest.raises(InvalidInput, match="five fields"):
        next_time("soon", "UTC", utc(2024, 1, 1))


def test_each_time_is_fired_once_by_whoever_comes_first(service, memos, clock):
    memos.schedule("hourly", "0 * * * *", "lifecycle")
    assert service.schedules.fire() == 0
    start = threading.Barrier(4)

    def fire(_: int) -> int:
        start.wait()
        return service.schedules.fire()

    for _ in range(3):
        clock.forward(hours=1)
        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(fire, range(4))) == 1
        service.worker.drain()
    [found] = memos.schedules()
    assert (found.last_at, found.next_at) == (clock.now, clock.now + timedelta(hours=1))
    fired = memos.events(kinds=["schedule.fire"]).items
    assert len(fired) == 3
    assert memos.job(found.last_job).kind == "lifecycle"
    assert memos.explain(found.last_job).events[0].reason.startswith("schedule hourly")
    # Times that nobody was there for are made up for by one job.
    clock.forward(days=2)
    assert service.schedules.fire() == 1


def test_a_clock_that_is_set_back_neither_fires_twice_nor_never_again(service, memos, clock):
    memos.schedule("hourly", "0 * * * *", "lifecycle")
    clock.forward(hours=1, minutes=1)
    assert service.schedules.fire() == 1
    clock.forward(minutes=-2)  # put right by a little: it is before the hour once more
    assert service.schedules.fire() == 0
    clock.forward(minutes=2)
    assert service.schedules.fire() == 0
    clock.forward(days=-300)  # the clock was wrong all the time
    assert service.schedules.fire() == 0
    clock.forward(hours=1)
    assert service.schedules.fire() == 1
