"""The verbs of events, told on every way into the service."""

from __future__ import annotations

from typing import Any

from memos.errors import (
    EventNotFound,
    InvalidCursor,
    InvalidInput,
    JobNotFound,
    NotFound,
    PolicyContradiction,
    ScheduleNotFound,
    StateConflict,
    VersionConflict,
)
from memos.types import (
    Event,
    Explanation,
    Kind,
    LifecycleRule,
    Page,
    QueueReport,
    Schedule,
    State,
)


def event_story(memory: Any, said: Any, memory_id: str, job_id: str) -> None:
    """`memory_id` is of the cube trips and was updated; `job_id` has succeeded."""
    note, refused = said.note, said.refused
    why = memory.explain(memory_id, cube="trips")
    assert type(why) is Explanation
    assert (why.what, why.memory.version) == ("memory", len(why.versions))
    assert any("update" in line for line in why.text)
    note("explain a memory", [why.what, why.versions, why.memory])
    job = memory.explain(job_id, cube="trips")
    assert (job.what, job.job.id) == ("job", job_id)
    assert "reindex was queued" in job.text[0]
    refused("explain nothing", NotFound, lambda: memory.explain("0" * 26, cube="trips"))
    page = memory.events(limit=1000)
    assert type(page) is Page
    assert all(type(event) is Event for event in page.items)
    assert [event.seq for event in page.items] == sorted(event.seq for event in page.items)
    refused("events of no kind", InvalidInput, lambda: memory.events(kinds=[""]))
    refused("events by a made-up cursor", InvalidCursor, lambda: memory.events(cursor="zzz"))
    lifecycle_story(memory, said, memory_id)
    queue_story(memory, said, job_id)


def lifecycle_story(memory: Any, said: Any, id: str) -> None:
    note, refused = said.note, said.refused
    there: dict[str, Any] = {"cube": "trips"}
    note("archive", memory.archive(id, **there, reason="too old"))
    refused("freeze the archived", StateConflict, lambda: memory.freeze(id, **there))
    refused(
        "expire an old version", VersionConflict, lambda: memory.expire(id, **there, if_version=1)
    )
    note("expire", memory.expire(id, **there))
    told = memory.explain(id, **there).events
    assert [event.kind for event in told[-2:]] == ["memory.archive", "memory.expire"]
    [back] = memory.undo(told[-1].id, **there, reason="not yet")
    assert back.state is State.ARCHIVED
    note("undo", back)
    refused("undo again", VersionConflict, lambda: memory.undo(told[-1].id, **there))
    refused("undo nothing", EventNotFound, lambda: memory.undo("0" * 26, **there))
    note("rollback", memory.rollback(id, 1, **there, reason="as it was"))
    refused("rollback to no version", InvalidInput, lambda: memory.rollback(id, 99, **there))
    frozen = memory.freeze(id, **there)
    assert frozen.state is State.FROZEN
    refused("update of the frozen", StateConflict, lambda: memory.update(id, **there, content="x"))
    note("thaw", memory.thaw(id, **there))
    rule = memory.set_lifecycle_rule(Kind.VAULT, **there, archive_after=30, erase_after=60.5)
    assert type(rule) is LifecycleRule
    note("set_lifecycle_rule", rule)
    note("lifecycle_rules", memory.lifecycle_rules(**there))
    refused(
        "rules that contradict",
        PolicyContradiction,
        lambda: memory.set_lifecycle_rule(Kind.VAULT, **there, archive_after=3, expire_after=2),
    )
    memory.set_lifecycle_rule(Kind.VAULT, **there)
    assert memory.lifecycle_rules(**there) == ()


def queue_story(memory: Any, said: Any, job_id: str) -> None:
    note, refused = said.note, said.refused
    report = memory.queue()
    assert type(report) is QueueReport
    refused("cancel what has ended", StateConflict, lambda: memory.cancel_job(job_id))
    refused("cancel nothing", JobNotFound, lambda: memory.cancel_job("0" * 26))
    made = memory.schedule("nightly", "30 3 * * *", "lifecycle", zone="Europe/Lisbon", cube="trips")
    assert type(made) is Schedule
    note("schedule", [made.name, made.cron, made.zone, made.kind, made.payload])
    assert [found.name for found in memory.schedules(cube="trips")] == ["nightly"]
    for what, asked in {
        "a cron of four fields": ("x", "1 2 3 4", "lifecycle"),
        "a day that never comes": ("x", "0 0 31 2 *", "lifecycle"),
        "a kind that is not to be scheduled": ("x", "* * * * *", "vector_drop"),
    }.items():
        refused(what, InvalidInput, lambda asked=asked: memory.schedule(*asked, cube="trips"))
    refused(
        "a zone that is none",
        InvalidInput,
        lambda: memory.schedule("x", "* * * * *", "lifecycle", zone="Mars/North", cube="trips"),
    )
    note("unschedule", memory.unschedule("nightly", cube="trips").name)
    refused(
        "unschedule again", ScheduleNotFound, lambda: memory.unschedule("nightly", cube="trips")
    )
    first = memory.events(limit=3).items
    followed = list(memory.follow(after=0, seconds=0, kinds=["memory."]))
    assert all(event.kind.startswith("memory.") for event in followed)
    assert len(followed) >= 4
    again = list(memory.follow(after=first[0].seq, seconds=0))
    assert [event.seq for event in again[:2]] == [event.seq for event in first[1:3]]
    newest = again[-1].seq
    assert all(event.seq > newest for event in memory.follow(seconds=0))
