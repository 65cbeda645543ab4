"""Schedules: jobs that are queued by the clock.

Fired by any worker; each time of a schedule once. Times that passed while nobody was there are made
up for by one job, not by one each.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from memos.config import Settings
from memos.errors import InvalidInput
from memos.protocols import Clock, Stores
from memos.scheduler.cron import next_time, zone_of
from memos.service.enriching.due import EXTRACT, SUMMARISE
from memos.service.keeping.keeping import CONSOLIDATE, SWEEP
from memos.service.lifecycle.sweeps import LIFECYCLE
from memos.types import Cube, NewEvent, NewJob, Schedule
from memos.validation import check_label

log = logging.getLogger(__name__)

SCHEDULABLE: dict[str, Mapping[str, Any]] = {
    EXTRACT: {"again": False},
    "reindex": {"embed": False},
    SUMMARISE: {},
    LIFECYCLE: {},
    CONSOLIDATE: {},
    SWEEP: {},
}
"""What may be scheduled, with its payload: nobody can name another cube in one."""

_AT_ONCE = 100
_DOUBT = timedelta(hours=1)
"""What was fired further ahead was fired by a clock that was wrong; nearer, it must not be fired
again only because the clock was put right by a little."""


class Schedules:
    def __init__(self, stores: Stores, settings: Settings, *, clock: Clock) -> None:
        self._stores = stores
        self._settings = settings
        self._clock = clock

    def put(
        self, cube: Cube, name: str, cron: str, kind: str, *, zone: str | None, actor: str | None
    ) -> Schedule:
        """InvalidInput for an expression, a zone or a kind that can't be used."""
        for field, value in (("name", name), ("cron", cron), ("kind", kind), ("zone", zone)):
            check_label(field, value)
        if kind not in SCHEDULABLE:
            raise InvalidInput(
                f"kind is {kind!r}; what can be scheduled is {', '.join(sorted(SCHEDULABLE))}",
                field="kind",
            )
        zone = self._settings.time_zone if zone is None else zone
        zone_of(zone)
        now = self._clock()
        made = Schedule(
            name=name,
            cube_id=cube.id,
            cron=cron,
            zone=zone,
            kind=kind,
            payload=SCHEDULABLE[kind],
            next_at=next_time(cron, zone, now),
            last_at=None,
            last_job=None,
            created_at=now,
            actor=actor,
        )
        self._stores.timetable.put(cube.tenant_id, made)
        return made

    def fire(self) -> int:
        """Queues what is due; how many jobs. A worker's chore."""
        now = self._clock()
        fired = 0
        for tenant_id, found in self._stores.timetable.due(ahead=now + _DOUBT, limit=_AT_ONCE):
            try:
                next_at = next_time(found.cron, found.zone, now)
            except InvalidInput:
                log.exception("schedule %s of cube %s can't go on", found.name, found.cube_id)
                self._stores.timetable.remove(found.cube_id, found.name)
                continue
            if found.next_at > now:
                self._stores.timetable.fire(found, next_at=next_at, job=None)
            else:
                fired += self._fire(tenant_id, found, next_at)
        return fired

    def _fire(self, tenant_id: str, found: Schedule, next_at: datetime) -> bool:
        job = NewJob(
            tenant_id=tenant_id,
            cube_id=found.cube_id or None,
            kind=found.kind,
            payload=found.payload,
            dedupe_key=f"schedule:{found.name}",
            max_attempts=self._settings.job_attempts,
        )
        job_id = self._stores.timetable.fire(found, next_at=next_at, job=job)
        if job_id is None:
            return False
        late = (self._clock() - found.next_at).total_seconds()
        told = NewEvent(
            kind="schedule.fire",
            subjects=(job_id,),
            reason=f"schedule {found.name}: {found.cron} ({found.zone})",
            numbers={"kind": found.kind, "late_seconds": round(late, 3)},
            cube_id=found.cube_id or None,
        )
        self._stores.events.append(tenant_id, [told])
        return True
