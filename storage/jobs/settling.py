"""How the runs of jobs end: settled, put off, given back. The queue's books are kept here.

Each outcome is recorded with its event and its cost in one transaction. Who holds a job, and for
how long, is `leases`'.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, select, update

from memos.protocols import Clock, NewId, QueuePolicy
from memos.storage.engine import Database
from memos.storage.events import EventLog
from memos.storage.jobs import accounts
from memos.storage.jobs.accounts import Measured
from memos.storage.jobs.lanes import FirstCome, lane_name, set_waiting
from memos.storage.records import micros
from memos.storage.tables import job
from memos.types import JobState, NewEvent, Outcome

_COSTS_SECONDS = 2.0


class Settling:
    """What `memos.protocols.JobQueue` says of a job once it was taken."""

    def __init__(
        self,
        database: Database,
        *,
        new_id: NewId,
        clock: Clock,
        events: EventLog | None = None,
        policy: QueuePolicy | None = None,
    ) -> None:
        self._db = database
        self._new_id = new_id
        self._clock = clock
        self._events = events or EventLog(new_id=new_id, clock=clock)
        self._policy = policy or FirstCome()
        self._rng = random.Random()
        self._mended = float("-inf")
        self._costs: dict[str, float] = {}
        self._costs_at = float("-inf")
        self._lock = threading.Lock()

    def place(
        self, tenant_id: str, kind: str, version: int, spent: float, costs: Mapping[str, float]
    ) -> dict[str, Any]:
        """Where a job stands in line: its level and lane."""
        level = self._policy.level(kind, mean=costs.get(kind, 0.0), spent=spent)
        return {"level": level, "lane": lane_name(tenant_id, kind, version, level)}

    def costs(self, connection: Connection) -> Mapping[str, float]:
        """The mean run of each kind in seconds, at most two seconds old."""
        now = time.monotonic()
        with self._lock:
            if now - self._costs_at > _COSTS_SECONDS:
                self._costs = accounts.costs(connection)
                self._costs_at = now
            return self._costs

    def finish(
        self,
        job_id: str,
        worker: str,
        *,
        error: str | None = None,
        retry_in: float | None = None,
    ) -> None:
        self.settle(worker, [Outcome(job_id=job_id, error=error, retry_in=retry_in)])

    def settle(self, worker: str, outcomes: Sequence[Outcome]) -> None:
        if not outcomes:
            return
        now = micros(self._clock())
        by_id = {outcome.job_id: outcome for outcome in outcomes}
        with self._db.write() as connection:
            rows = connection.execute(
                select(job)
                .where(
                    job.c.id.in_(list(by_id)),
                    job.c.worker == worker,
                    job.c.state == JobState.RUNNING.value,
                )
                .order_by(job.c.id)
                .with_for_update()
            ).all()
            measured: dict[str, Measured] = defaultdict(Measured)
            owed: dict[str, float] = defaultdict(float)
            for row in rows:
                seconds = by_id[row.id].seconds
                sums = measured[row.kind]
                sums.runs += 1
                sums.run_seconds += seconds
                sums.wait_seconds += max(0, (row.started_at or now) - row.run_at) / 1e6
                owed[row.tenant_id] += seconds - row.charged
            self._succeed(connection, [r for r in rows if by_id[r.id].error is None], by_id, now)
            told = self._fail(
                connection, [r for r in rows if by_id[r.id].error is not None], by_id, measured, now
            )
            accounts.settle(connection, measured, owed)
            self._tell(connection, told + _successes(rows, by_id))

    def _succeed(
        self,
        connection: Connection,
        rows: Sequence[Any],
        by_id: Mapping[str, Outcome],
        now: int,
    ) -> None:
        if not rows:
            return
        connection.execute(
            _done,
            [{"job": row.id, "now": now, "seconds": by_id[row.id].seconds} for row in rows],
        )

    def _fail(
        self,
        connection: Connection,
        rows: Sequence[Any],
        by_id: Mapping[str, Outcome],
        measured: Mapping[str, Measured],
        now: int,
    ) -> list[tuple[str, NewEvent]]:
        told = []
        for row in rows:
            outcome = by_id[row.id]
            spent = row.spent + outcome.seconds
            values: dict[str, Any] = {
                "worker": None,
                "lease_until": None,
                "spent": spent,
                "error": _storable(outcome.error or ""),
            }
            numbers = {"kind": row.kind, "attempts": row.attempts, "of": row.max_attempts}
            measured[row.kind].failures += 1
            if outcome.retry_in is None or row.attempts >= row.max_attempts:
                measured[row.kind].deaths += 1
                values |= {"state": JobState.DEAD.value, "finished_at": now}
                connection.execute(update(job).where(job.c.id == row.id).values(values))
                told.append((row.tenant_id, told_of("dead", row, values["error"], numbers)))
                continue
            values |= {"state": JobState.FAILED.value, "run_at": now + span(outcome.retry_in)}
            place = self.place(row.tenant_id, row.kind, row.version, spent, self.costs(connection))
            set_waiting(connection, row.id, {**values, **place})
            numbers |= {"retry_in": round(outcome.retry_in, 3), "level": place["level"]}
            told.append((row.tenant_id, told_of("fail", row, values["error"], numbers)))
        return told

    def postpone(self, job_id: str, worker: str, *, seconds: float, spent: float = 0.0) -> None:
        with self._db.write() as connection:
            row = connection.execute(
                select(job).where(held_by(job_id, worker)).with_for_update()
            ).first()
            if row is not None:
                later = micros(self._clock()) + span(seconds)
                self._give_back(connection, row, spent, {"run_at": later})
                accounts.settle(connection, {}, {row.tenant_id: spent - row.charged})

    def release(self, worker: str) -> int:
        mine = and_(job.c.worker == worker, job.c.state == JobState.RUNNING.value)
        with self._db.write() as connection:
            rows = connection.execute(select(job).where(mine).with_for_update()).all()
            for row in rows:
                self._give_back(connection, row, 0.0, {})
            back: Counter[str] = Counter()
            for row in rows:
                back[row.tenant_id] -= row.charged
            accounts.settle(connection, {}, back)
        return len(rows)

    def _give_back(
        self, connection: Connection, row: Any, spent: float, values: Mapping[str, Any]
    ) -> None:
        """To the queue, the attempt uncounted."""
        spent += row.spent
        place = self.place(row.tenant_id, row.kind, row.version, spent, self.costs(connection))
        back = {
            "state": JobState.QUEUED.value,
            "attempts": row.attempts - 1,
            "worker": None,
            "lease_until": None,
            "spent": spent,
        }
        set_waiting(connection, row.id, {**back, **place, **values})

    def _tell(self, connection: Connection, told: Sequence[tuple[str, NewEvent]]) -> None:
        by_tenant: dict[str, list[NewEvent]] = defaultdict(list)
        for tenant_id, event in told:
            by_tenant[tenant_id].append(event)
        for tenant_id in sorted(by_tenant):
            self._events.record(connection, tenant_id, by_tenant[tenant_id])


_done = (
    update(job)
    .where(job.c.id == bindparam("job"))
    .values(
        state=JobState.SUCCEEDED.value,
        progress=1.0,
        error=None,
        worker=None,
        lease_until=None,
        finished_at=bindparam("now"),
        spent=job.c.spent + bindparam("seconds"),
    )
)


def _successes(rows: Sequence[Any], by_id: Mapping[str, Outcome]) -> list[tuple[str, NewEvent]]:
    """One event for all that succeeded together, by tenant, cube and kind: the jobs themselves say
    the rest."""
    groups: dict[tuple[str, str | None, str], list[str]] = defaultdict(list)
    for row in rows:
        if by_id[row.id].error is None:
            groups[row.tenant_id, row.cube_id, row.kind].append(row.id)
    return [
        (
            tenant_id,
            NewEvent(
                kind="job.succeed",
                subjects=(),
                numbers={
                    "kind": kind,
                    "jobs": ids,
                    "seconds": round(sum(by_id[id].seconds for id in ids), 6),
                },
                cube_id=cube_id,
            ),
        )
        for (tenant_id, cube_id, kind), ids in groups.items()
    ]


def told_of(verb: str, row: Any, reason: str, numbers: Mapping[str, Any]) -> NewEvent:
    return NewEvent(
        kind=f"job.{verb}",
        subjects=(row.id,),
        reason=reason,
        numbers=numbers,
        cube_id=row.cube_id,
    )


def span(seconds: float) -> int:
    return int(seconds * 1_000_000)


def held_by(job_id: str, worker: str) -> ColumnElement[bool]:
    return and_(job.c.id == job_id, job.c.worker == worker, job.c.state == JobState.RUNNING.value)


def _storable(error: str) -> str:
    """An error text that every database holds; it comes from anywhere, and must not be lost."""
    return error[:10_000].replace("\0", "�").encode("utf-8", "replace").decode()
