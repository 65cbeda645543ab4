"""Jobs in SQL: a queue that survives its workers. What waits, is looked at, cancelled, tried again.

Knows when a job may run and where it stands in line, not what it does; who holds it is `leases`'.
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
    func,
    insert,
    select,
    text,
    update,
)

from memos.errors import JobNotFound, StateConflict
from memos.storage.jobs import accounts
from memos.storage.jobs.lanes import WAITING, set_waiting
from memos.storage.jobs.leases import Leases
from memos.storage.records import checked, job_of, json_text, micros
from memos.storage.tables import job
from memos.types import Job, JobState, KindReport, NewEvent, NewJob

ENDED = (JobState.SUCCEEDED.value, JobState.DEAD.value, JobState.CANCELLED.value)

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
    job.c.state.in_(WAITING),
)


class SqlJobQueue(Leases):
    """`memos.protocols.JobQueue`. All times come from `clock`; `policy` says what runs next."""

    def enqueue(self, job: NewJob) -> str:
        with self._db.write() as connection:
            return self.add(connection, (job,))[0]

    def add(self, connection: Connection, jobs: Sequence[NewJob]) -> tuple[str, ...]:
        """Queues `jobs` in the caller's transaction; ids in their order, of those waiting already
        where a dedupe key matches."""
        if not jobs:
            return ()
        costs = self.costs(connection)
        rows = [self._row(new, costs) for new in jobs]
        if all(new.dedupe_key is None for new in jobs):
            connection.execute(insert(job), rows)
            return tuple(row["id"] for row in rows)
        return tuple(_add(connection, row) for row in rows)

    def _row(self, new: NewJob, costs: Mapping[str, float]) -> dict[str, Any]:
        now = micros(self._clock())
        return checked(
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
                "version": new.version,
                "spent": 0.0,
                "charged": 0.0,
                **self.place(new.tenant_id, new.kind, new.version, 0.0, costs),
            }
        )

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

    def retry(self, tenant_id: str, job_id: str, *, actor: str | None = None) -> Job:
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
                "spent": 0.0,
                "run_at": micros(self._clock()),
                "finished_at": None,
                **self.place(tenant_id, found.kind, found.version, 0.0, self.costs(connection)),
            }
            set_waiting(connection, job_id, values)
            told = NewEvent(
                kind="job.requeue",
                subjects=(job_id,),
                reason=f"it was {found.state.value}",
                numbers={"kind": found.kind, "attempts": found.attempts},
                actor=actor,
                cube_id=found.cube_id,
            )
            self._events.record(connection, tenant_id, [told])
            return _find(connection, tenant_id, job_id)

    def stop(self, tenant_id: str, job_id: str, *, reason: str | None, actor: str | None) -> Job:
        with self._db.write() as connection:
            found = _find(connection, tenant_id, job_id, lock=True)
            if found.state.value in ENDED:
                raise StateConflict(
                    f"job {job_id} is {found.state.value} already; only jobs that wait or run can"
                    " be cancelled",
                    state=found.state.value,
                )
            connection.execute(
                update(job)
                .where(job.c.id == job_id)
                .values(
                    state=JobState.CANCELLED.value,
                    error=reason or "it was cancelled",
                    worker=None,
                    lease_until=None,
                    finished_at=micros(self._clock()),
                )
            )
            told = NewEvent(
                kind="job.cancel",
                subjects=(job_id,),
                reason=reason,
                numbers={"kind": found.kind, "was": found.state.value},
                actor=actor,
                cube_id=found.cube_id,
            )
            self._events.record(connection, tenant_id, [told])
            return _find(connection, tenant_id, job_id)

    def counts(self) -> Mapping[tuple[str, str], int]:
        query = select(job.c.kind, job.c.state, func.count()).group_by(job.c.kind, job.c.state)
        with self._db.read() as connection:
            return {(kind, state): count for kind, state, count in connection.execute(query)}

    def report(
        self, tenant_id: str | None, *, cube_id: str | None = None
    ) -> tuple[KindReport, ...]:
        now = micros(self._clock())
        waits = and_(job.c.state.in_(WAITING), job.c.run_at <= now)
        query = select(
            job.c.kind,
            job.c.state,
            func.count(),
            func.min(case((waits, job.c.run_at), else_=now)),
        ).where(job.c.state != JobState.SUCCEEDED.value)
        if tenant_id is not None:
            query = query.where(job.c.tenant_id == tenant_id)
        if cube_id is not None:
            query = query.where(job.c.cube_id == cube_id)
        with self._db.read() as connection:
            rows = connection.execute(query.group_by(job.c.kind, job.c.state)).all()
            sums = {row.kind: row for row in connection.execute(select(accounts.job_kind))}
        counted: dict[str, dict[str, int]] = {}
        oldest: dict[str, float] = {}
        for kind, state, count, since in rows:
            counted.setdefault(kind, {})[state] = count
            oldest[kind] = max(oldest.get(kind, 0.0), (now - since) / 1e6)
        kinds = sorted(counted.keys() | (sums.keys() if tenant_id is None else set()))
        return tuple(_report(k, counted.get(k, {}), oldest.get(k, 0.0), sums.get(k)) for k in kinds)

    def erase(self, connection: Connection, cube_id: str, memory_id: str) -> None:
        """Takes out of jobs why a memory could not be read, in the transaction that erases it: the
        reason may quote it."""
        quoting = and_(job.c.cube_id == cube_id, _quotes(memory_id), job.c.error.is_not(None))
        rows = connection.execute(select(job.c.id, job.c.tenant_id).where(quoting)).all()
        connection.execute(update(job).where(quoting).values(error="its memory was erased"))
        for job_id, tenant_id in rows:
            self._events.erase(connection, tenant_id, job_id)

    def cancel(self, connection: Connection, cube_id: str) -> None:
        """Cancels what waits for a cube that is being deleted, in the caller's transaction."""
        connection.execute(
            update(job)
            .where(job.c.cube_id == cube_id, job.c.state.in_(WAITING))
            .values(
                state=JobState.CANCELLED.value,
                error="its cube was deleted",
                finished_at=micros(self._clock()),
            )
        )


def _report(kind: str, counted: Mapping[str, int], oldest: float, sums: Any) -> KindReport:
    return KindReport(
        kind=kind,
        queued=counted.get("queued", 0),
        running=counted.get("running", 0),
        failed=counted.get("failed", 0),
        dead=counted.get("dead", 0),
        oldest_wait=oldest,
        seconds=sums.seconds if sums else 0.0,
        runs=sums.runs if sums else 0,
        failures=sums.failures if sums else 0,
        deaths=sums.deaths if sums else 0,
        run_seconds=sums.run_seconds if sums else 0.0,
        wait_seconds=sums.wait_seconds if sums else 0.0,
    )


def _add(connection: Connection, row: dict[str, Any]) -> str:
    if row["dedupe_key"] is None:
        connection.execute(insert(job), row)
        return str(row["id"])
    while True:
        if connection.execute(_insert_unless_waiting, row).rowcount == 1:
            return str(row["id"])
        waiting: str | None = connection.execute(_find_waiting, row).scalar()
        # None: a worker took it in between, so this one is needed after all.
        if waiting is not None:
            return waiting


def _quotes(memory_id: str) -> ColumnElement[bool]:
    return and_(
        job.c.kind == "extract_one",
        # By the index over states; those that succeeded hold no error.
        job.c.state.in_([*WAITING, JobState.RUNNING.value, JobState.DEAD.value]),
        job.c.payload.contains(f'"{memory_id}"', autoescape=True),
    )


def _find(connection: Connection, tenant_id: str, job_id: str, *, lock: bool = False) -> Job:
    query = select(job).where(job.c.tenant_id == tenant_id, job.c.id == job_id)
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise JobNotFound(f"there is no job {job_id!r}", job_id=job_id)
    return job_of(row)
