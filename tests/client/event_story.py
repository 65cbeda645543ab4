"""The verbs of events, told on every way into the service."""

from __future__ import annotations

from typing import Any

from memos.errors import InvalidCursor, InvalidInput, NotFound
from memos.types import Event, Explanation, Page


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
