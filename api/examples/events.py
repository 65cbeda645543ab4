"""One example of each answer about events, as a value of its type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from memos.types import (
    Event,
    Explanation,
    Kind,
    KindReport,
    LifecycleRule,
    Page,
    QueueReport,
    Schedule,
    UndoStep,
)

_THEN = datetime(2024, 5, 1, 18, 30, tzinfo=timezone.utc)
_MEMORY_ID = "01HXA8Q5T9V0J4M2K7N3P6R8SD"

EVENT = Event(
    id="01HXA8Q5T9V0J4M2K7N3P6R8SJ",
    seq=12,
    cube_id="01HXA8Q5T9V0J4M2K7N3P6R8SB",
    kind="memory.expire",
    subjects=(_MEMORY_ID,),
    reason="its time is over",
    numbers={"expire_after_days": 30, "age_days": 31.2},
    actor=None,
    at=_THEN,
    undo=(UndoStep(memory_id=_MEMORY_ID, version=1),),
    cause=None,
)

EVENT_EXAMPLES: Mapping[str, Any] = {
    "Event": EVENT,
    "Explanation": Explanation(
        id=EVENT.id,
        what="event",
        text=(
            "2024-05-01 18:30:00Z memory.expire: its time is over (expire_after_days 30, "
            "age_days 31.2)",
        ),
        event=EVENT,
    ),
    "LifecycleRule": LifecycleRule(
        kind=Kind.EPISODIC,
        archive_after=90.0,
        expire_after=365.0,
        updated_at=_THEN,
        actor="key:01HXA8Q5T9V0J4M2K7N3P6R8SA",
    ),
    "Page_Event_": Page(items=(EVENT,)),
    "QueueReport": QueueReport(
        at=_THEN,
        kinds=(KindReport(kind="index", queued=3, running=1, seconds=0.04, runs=120),),
        running=(),
        last_seq=12,
    ),
    "Schedule": Schedule(
        name="nightly",
        cube_id="01HXA8Q5T9V0J4M2K7N3P6R8SB",
        cron="30 3 * * *",
        zone="Europe/Lisbon",
        kind="lifecycle",
        payload={},
        next_at=_THEN,
        last_at=None,
        last_job=None,
        created_at=_THEN,
        actor=None,
    ),
}
"""By the name of the schema."""
