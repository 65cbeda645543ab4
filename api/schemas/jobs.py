"""What may be sent to the queue of jobs."""

from __future__ import annotations

from pydantic import ConfigDict

from memos.api.schemas.fields import Body, Label


class ScheduleIn(Body):
    """Which job is queued when: five fields of cron, in a zone of the tz database."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"cron": "30 3 * * *", "kind": "lifecycle", "zone": "Europe/Lisbon"}]
        }
    )

    cron: Label
    kind: Label
    zone: Label | None = None
