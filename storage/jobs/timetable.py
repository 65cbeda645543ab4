"""Schedules in SQL. Each time of one is fired once, whatever the number of workers: who moves it on
to its next time queues the job in the same transaction. Knows no cron expressions."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import delete, or_, select, text, update

from memos.errors import ScheduleNotFound
from memos.protocols import Clock
from memos.storage.engine import Database
from memos.storage.jobs.queue import SqlJobQueue
from memos.storage.records import checked, json_text, micros, moment, moment_or_none, storable
from memos.storage.tables import schedule
from memos.types import NewJob, Schedule

_names = [column.name for column in schedule.c]
# Several processes may put the same one in place when they start.
_put = text(
    f"INSERT INTO schedule ({', '.join(_names)}) VALUES ({', '.join(f':{n}' for n in _names)})"
    " ON CONFLICT (cube_id, name) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _names)
)


class SqlTimetable:
    """`memos.protocols.Timetable`."""

    def __init__(self, database: Database, *, jobs: SqlJobQueue, clock: Clock) -> None:
        self._db = database
        self._jobs = jobs
        self._clock = clock

    def put(self, tenant_id: str, new: Schedule) -> None:
        row = checked(
            {
                "tenant_id": tenant_id,
                "name": new.name,
                "cube_id": new.cube_id,
                "cron": new.cron,
                "zone": new.zone,
                "kind": new.kind,
                "payload": json_text(new.payload),
                "next_at": micros(new.next_at),
                "last_at": None if new.last_at is None else micros(new.last_at),
                "last_job": new.last_job,
                "created_at": micros(new.created_at),
                "actor": new.actor,
            }
        )
        with self._db.write() as connection:
            connection.execute(_put, row)

    def all(self, cube_id: str) -> tuple[Schedule, ...]:
        query = select(schedule).where(schedule.c.cube_id == cube_id).order_by(schedule.c.name)
        with self._db.read() as connection:
            return tuple(_schedule_of(row) for row in connection.execute(query))

    def remove(self, cube_id: str, name: str) -> Schedule:
        with self._db.write() as connection:
            row = None
            if storable(name):
                row = connection.execute(
                    delete(schedule).where(*_named(cube_id, name)).returning(*schedule.c)
                ).first()
        if row is None:
            raise ScheduleNotFound(f"there is no schedule {name!r}", name=name)
        return _schedule_of(row)

    def due(self, *, ahead: datetime, limit: int) -> list[tuple[str, Schedule]]:
        now = micros(self._clock())
        query = select(schedule).where(
            or_(
                schedule.c.next_at <= now,
                schedule.c.last_at > micros(ahead),
                schedule.c.created_at > micros(ahead),
            )
        )
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(schedule.c.next_at).limit(limit)).all()
        return [(row.tenant_id, _schedule_of(row)) for row in rows]

    def fire(self, found: Schedule, *, next_at: datetime, job: NewJob | None) -> str | None:
        change = (
            update(schedule)
            .where(
                *_named(found.cube_id, found.name),
                schedule.c.next_at == micros(found.next_at),
                schedule.c.cron == found.cron,
            )
            .values(next_at=micros(next_at), last_at=micros(found.next_at))
        )
        if job is None:
            change = change.values(last_at=None, created_at=micros(self._clock()))
        with self._db.write() as connection:
            if connection.execute(change).rowcount != 1:
                return None  # another worker was faster, or it was changed meanwhile
            if job is None:
                return None
            [job_id] = self._jobs.add(connection, [job])
            connection.execute(
                update(schedule).where(*_named(found.cube_id, found.name)).values(last_job=job_id)
            )
            return job_id


def _named(cube_id: str, name: str) -> tuple[Any, Any]:
    return schedule.c.cube_id == cube_id, schedule.c.name == name


def _schedule_of(row: Any) -> Schedule:
    return Schedule(
        name=row.name,
        cube_id=row.cube_id,
        cron=row.cron,
        zone=row.zone,
        kind=row.kind,
        payload=json.loads(row.payload),
        next_at=moment(row.next_at),
        last_at=moment_or_none(row.last_at),
        last_job=row.last_job,
        created_at=moment(row.created_at),
        actor=row.actor,
    )
