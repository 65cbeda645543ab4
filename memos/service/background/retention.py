"""How long jobs and events are kept: the job `prune`, and the schedule that it ships with.

It is of no cube: one job looks after all tenants, and belongs to the default one. Knows ages; what
may go is the store's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from memos.config import Settings
from memos.errors import InvalidInput, InvalidSetting
from memos.protocols import Clock, Stores
from memos.scheduler import Foreground, Handler, JobContext
from memos.scheduler.cron import next_time
from memos.types import NewEvent, Schedule

PRUNE = "prune"
OF_NO_CUBE = ""
"""The cube of a schedule that belongs to none."""
_PART = 500
"""Rows looked at in one transaction."""

Rest = Callable[[], None]


class Retention:
    """`tenant_id` owns the job. InvalidSetting for a `prune_cron` that can't be read."""

    def __init__(
        self,
        stores: Stores,
        settings: Settings,
        foreground: Foreground,
        *,
        tenant_id: str,
        clock: Clock,
    ) -> None:
        self._stores = stores
        self._settings = settings
        self._foreground = foreground
        self._tenant_id = tenant_id
        self._clock = clock
        self._scheduled = False
        self._check_cron()

    def table(self) -> Mapping[str, Handler]:
        return {PRUNE: self._prune}

    def _check_cron(self) -> None:
        """InvalidSetting at the start, rather than an error in the worker every second."""
        if not self._settings.prune_cron:
            return
        try:
            next_time(self._settings.prune_cron, self._settings.time_zone, self._clock())
        except InvalidInput as error:
            raise InvalidSetting(f"prune_cron: {error.message}", setting="prune_cron") from error

    def schedule(self) -> None:
        """Puts the schedule in place once per process, as the settings have it. A worker's
        chore."""
        if self._scheduled:
            return
        cron, zone = self._settings.prune_cron, self._settings.time_zone
        known = {one.name: one for one in self._stores.timetable.all(OF_NO_CUBE)}.get(PRUNE)
        if not cron and known is not None:
            self._stores.timetable.remove(OF_NO_CUBE, PRUNE)
        elif cron and (known is None or (known.cron, known.zone) != (cron, zone)):
            self._stores.timetable.put(self._tenant_id, self._made(cron, zone))
        self._scheduled = True

    def _made(self, cron: str, zone: str) -> Schedule:
        now = self._clock()
        return Schedule(
            name=PRUNE,
            cube_id=OF_NO_CUBE,
            cron=cron,
            zone=zone,
            kind=PRUNE,
            payload={},
            next_at=next_time(cron, zone, now),
            last_at=None,
            last_job=None,
            created_at=now,
            actor=None,
        )

    def _prune(self, context: JobContext) -> None:
        """In small parts, giving way to requests; one that is broken off goes on the next time."""
        pace = self._foreground.pace()

        def rest() -> None:
            pace.step()
            context.check_stop()

        jobs, events = self._jobs(rest), self._events(rest)
        if jobs or events:
            told = NewEvent(
                kind="retention.prune",
                subjects=(context.job.id,),
                reason="they were older than they are kept, and nothing living needs them",
                numbers={
                    "jobs": jobs,
                    "events": events,
                    "job_days": self._settings.job_days,
                    "event_days": self._settings.event_days,
                },
            )
            self._stores.events.append(context.job.tenant_id, [told])

    def _jobs(self, rest: Rest) -> int:
        before = self._before(self._settings.job_days)
        done = 0
        while before is not None:
            gone = self._stores.retention.jobs(before=before, limit=_PART)
            done += gone
            rest()
            if gone < _PART:
                break
        return done

    def _events(self, rest: Rest) -> int:
        before = self._before(self._settings.event_days)
        if before is None:
            return 0
        done = 0
        for tenant_id in self._stores.retention.tenants():
            after: int | None = 0
            while after is not None:
                gone, after = self._stores.retention.events(
                    tenant_id, before=before, after=after, limit=_PART
                )
                done += gone
                rest()
        return done

    def _before(self, days: float) -> datetime | None:
        """None: they are kept for ever."""
        return self._clock() - timedelta(days=days) if days else None
