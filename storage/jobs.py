"""Jobs in SQL: a queue with leases that survives its workers.

Knows when a job may run and who holds it, not what it does. On PostgreSQL workers pass over rows
that another is taking (FOR UPDATE SKIP LOCKED); on SQLite the write lock does the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    exc,
    exists,
    func,
    insert,
    null,
    or_,
    select,
    text,
    update,
)

from memos.errors import JobNotFound, StateConflict
from memos.protocols import Clock, NewId
from memos.storage.accounts import account, job_kind
from memos.storage.engine import Database
from memos.storage.records import checked, job_of, json_text, micros
from memos.storage.tables import job
from memos.types import Job, JobState, NewJob

_ACCOUNTS = (account, job_kind)
_WAITING = (JobState.QUEUED.value, JobState.FAILED.value)
_GIVEN_BACK: Mapping[str, Any] = {
    "state": JobState.QUEUED.value,
    "attempts": job.c.attempts - 1,
    "worker": None,
    "lease_until": None,
}
_LOST = "the worker that held it stopped answering, and no attempts are left"

_names = [column.name for column in job.c]
_insert_unless_waiting = text(
    f"INSERT INTO job ({', '.join(_names)})"
    f" VALUES ({', '.join(f':{name}' for name in _names)})"
    " ON CONFLICT (tenant_id, dedupe_key)"
    " WHERE dedupe_key IS NOT NULL AND state IN ('queued', 'failed') DO NOTHING"
)
_find_waiting = select(job.c.id).where(
    job.c.tenant_id == bindparam("tenant_id"),
    job.c.dedupe_key == bindparam("dedupe_key"),
    job.c.state.in_(_WAITING),
)


class SqlJobQueue:
    """`memos.protocols.JobQueue`. All times come from `clock`."""

    def __init__(self, database: Database, *, new_id: NewId, clock: Clock) -> None:
        self._db = database
        self._new_id = new_id
        self._clock = clock

    def enqueue(self, job: NewJob) -> str:
        with self._db.write() as connection:
            return self.add(connection, (job,))[0]

    def add(self, connection: Connection, jobs: Sequence[NewJob]) -> tuple[str, ...]:
        """Queues `jobs` in the caller's transaction; ids in their order, of those waiting already
        where a dedupe key matches."""
        return tuple(self._add(connection, new) for new in jobs)

    def _add(self, connection: Connection, new: NewJob) -> str:
        now = micros(self._clock())
        row = checked(
            {
                **dict.fromkeys(_names),
                "id": self._new_id(),
                "tenant_id": new.tenant_id,
                "cube_id": new.cube_id,
                "kind": new.kind,
                "state": JobState.QUEUED.value,
                "payload": json_text(new.payload),
                "dedupe_key": new.dedupe_key,
                "attempts": 0,
                "max_attempts": new.max_attempts,
                "progress": 0.0,
                "run_at": now if new.run_at is None else micros(new.run_at),
                "created_at": now,
                "version": 1,
                "level": 0,
                "spent": 0.0,
                "charged": 0.0,
            }
        )
        if new.dedupe_key is None:
            connection.execute(insert(job), row)
            return str(row["id"])
        while True:
            if connection.execute(_insert_unless_waiting, row).rowcount == 1:
                return str(row["id"])
            waiting: str | None = connection.execute(_find_waiting, row).scalar()
            # None: a worker took it in between, so this one is needed after all.
            if waiting is not None:
                return waiting

    def lease(self, worker: str, *, kinds: Sequence[str], limit: int, seconds: float) -> list[Job]:
        now = micros(self._clock())
        lost = and_(job.c.state == JobState.RUNNING.value, job.c.lease_until <= now)
        ready = and_(job.c.state.in_(_WAITING), job.c.run_at <= now)
        due = and_(or_(ready, lost), job.c.kind.in_(kinds))
        with self._db.read() as connection:
            # An idle worker takes no write lock.
            if connection.execute(select(job.c.id).where(due).limit(1)).first() is None:
                return []
        with self._db.write() as connection:
            used_up = and_(lost, job.c.kind.in_(kinds), job.c.attempts >= job.c.max_attempts)
            connection.execute(
                update(job)
                .where(job.c.id.in_(select(_locked(used_up, None).c.id)))
                .values(
                    state=JobState.DEAD.value,
                    error=func.coalesce(job.c.error, _LOST),
                    worker=None,
                    lease_until=None,
                    finished_at=now,
                )
            )
            rows = connection.execute(
                update(job)
                .where(job.c.id.in_(select(_locked(due, limit).c.id)))
                .values(
                    state=JobState.RUNNING.value,
                    worker=worker,
                    lease_until=now + _span(seconds),
                    attempts=job.c.attempts + 1,
                    started_at=now,
                    finished_at=None,
                )
                .returning(*job.c)
            ).all()
        return sorted(map(job_of, rows), key=lambda found: (found.run_at, found.id))

    def heartbeat(
        self, job_id: str, worker: str, *, seconds: float, progress: float | None = None
    ) -> bool:
        values: dict[str, Any] = {"lease_until": micros(self._clock()) + _span(seconds)}
        if progress is not None:
            values["progress"] = progress
        with self._db.write() as connection:
            held = connection.execute(update(job).where(_held(job_id, worker)).values(values))
            return held.rowcount == 1

    def finish(
        self,
        job_id: str,
        worker: str,
        *,
        error: str | None = None,
        retry_in: float | None = None,
    ) -> None:
        now = micros(self._clock())
        values: dict[str, Any] = {"worker": None, "lease_until": None}
        with self._db.write() as connection:
            attempts = connection.execute(
                select(job.c.attempts, job.c.max_attempts)
                .where(_held(job_id, worker))
                .with_for_update()
            ).first()
            if attempts is None:
                return
            if error is None:
                values |= {"state": JobState.SUCCEEDED.value, "progress": 1.0, "error": None}
                values["finished_at"] = now
            elif retry_in is None or attempts[0] >= attempts[1]:
                values |= {"state": JobState.DEAD.value, "finished_at": now}
            else:
                values |= {"state": JobState.FAILED.value, "run_at": now + _span(retry_in)}
            if error is not None:
                values["error"] = _storable(error)
            _set(connection, job_id, values)

    def postpone(self, job_id: str, worker: str, *, seconds: float) -> None:
        with self._db.write() as connection:
            held = connection.execute(
                select(job.c.id).where(_held(job_id, worker)).with_for_update()
            ).first()
            if held is not None:
                later = micros(self._clock()) + _span(seconds)
                _set(connection, job_id, {**_GIVEN_BACK, "run_at": later})

    def release(self, worker: str) -> int:
        mine = and_(job.c.worker == worker, job.c.state == JobState.RUNNING.value)
        with self._db.write() as connection:
            ids = connection.execute(select(job.c.id).where(mine).with_for_update()).scalars().all()
            for job_id in ids:
                _set(connection, job_id, _GIVEN_BACK)
        return len(ids)

    def get(self, tenant_id: str, job_id: str) -> Job:
        with self._db.read() as connection:
            return _find(connection, tenant_id, job_id)

    def page(
        self,
        tenant_id: str,
        *,
        states: Sequence[JobState] = (),
        cube_id: str | None = None,
        before: str | None = None,
        limit: int,
    ) -> list[Job]:
        query = select(job).where(job.c.tenant_id == tenant_id)
        if states:
            query = query.where(job.c.state.in_([state.value for state in states]))
        if cube_id is not None:
            query = query.where(job.c.cube_id == cube_id)
        if before is not None:
            query = query.where(job.c.id < before)
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(job.c.id.desc()).limit(limit)).all()
        return [job_of(row) for row in rows]

    def retry(self, tenant_id: str, job_id: str) -> Job:
        with self._db.write() as connection:
            found = _find(connection, tenant_id, job_id, lock=True)
            if found.state not in (JobState.FAILED, JobState.DEAD, JobState.CANCELLED):
                raise StateConflict(
                    f"job {job_id} is {found.state.value}; only failed, dead and cancelled jobs can"
                    " be retried",
                    state=found.state.value,
                )
            values = {
                "state": JobState.QUEUED.value,
                "attempts": 0,
                "progress": 0.0,
                "error": None,
                "run_at": micros(self._clock()),
                "finished_at": None,
            }
            _set(connection, job_id, values)
            return _find(connection, tenant_id, job_id)

    def counts(self) -> Mapping[tuple[str, str], int]:
        query = select(job.c.kind, job.c.state, func.count()).group_by(job.c.kind, job.c.state)
        with self._db.read() as connection:
            return {(kind, state): count for kind, state, count in connection.execute(query)}

    def erase(self, connection: Connection, cube_id: str, memory_id: str) -> None:
        """Takes out of jobs why a memory could not be read, in the transaction that erases it: the
        reason may quote it."""
        connection.execute(
            update(job)
            .where(job.c.cube_id == cube_id, _quotes(memory_id), job.c.error.is_not(None))
            .values(error="its memory was erased")
        )

    def cancel(self, connection: Connection, cube_id: str) -> None:
        """Cancels what waits for a cube that is being deleted, in the caller's transaction."""
        connection.execute(
            update(job)
            .where(job.c.cube_id == cube_id, job.c.state.in_(_WAITING))
            .values(
                state=JobState.CANCELLED.value,
                error="its cube was deleted",
                finished_at=micros(self._clock()),
            )
        )


def _quotes(memory_id: str) -> ColumnElement[bool]:
    return and_(
        job.c.kind == "extract_one",
        # By the index over states; those that succeeded hold no error.
        job.c.state.in_([*_WAITING, JobState.RUNNING.value, JobState.DEAD.value]),
        job.c.payload.contains(f'"{memory_id}"', autoescape=True),
    )


def _span(seconds: float) -> int:
    return int(seconds * 1_000_000)


def _held(job_id: str, worker: str) -> ColumnElement[bool]:
    return and_(job.c.id == job_id, job.c.worker == worker, job.c.state == JobState.RUNNING.value)


def _locked(which: ColumnElement[bool], limit: int | None) -> Any:
    """Ids of these jobs, oldest first, locked; those locked by others are passed over. A CTE,
    since PostgreSQL may run a plain subquery of an UPDATE more than once."""
    query = select(job.c.id).where(which).order_by(job.c.run_at, job.c.id).limit(limit)
    return query.with_for_update(skip_locked=True).cte("due")


def _find(connection: Connection, tenant_id: str, job_id: str, *, lock: bool = False) -> Job:
    query = select(job).where(job.c.tenant_id == tenant_id, job.c.id == job_id)
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise JobNotFound(f"there is no job {job_id!r}", job_id=job_id)
    return job_of(row)


def _set(connection: Connection, job_id: str, values: Mapping[str, Any]) -> None:
    """Changes a job. One that waits again gives up its dedupe key if another took the place
    meanwhile: running it twice is allowed, losing it is not."""
    other = job.alias("other")
    clash = exists().where(
        other.c.tenant_id == job.c.tenant_id,
        other.c.dedupe_key == job.c.dedupe_key,
        other.c.state.in_(_WAITING),
        other.c.id != job.c.id,
    )
    change = update(job).where(job.c.id == job_id).values(values)
    if values["state"] not in _WAITING:
        connection.execute(change)
        return
    try:
        with connection.begin_nested():
            connection.execute(
                change.values(dedupe_key=case((clash, null()), else_=job.c.dedupe_key))
            )
    except exc.IntegrityError:
        # Queued by another transaction between the look and the change.
        connection.execute(change.values(dedupe_key=None))


def _storable(error: str) -> str:
    """An error text that every database holds; it comes from anywhere, and must not be lost."""
    return error[:10_000].replace("\0", "�").encode("utf-8", "replace").decode()
