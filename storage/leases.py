"""Leases of jobs: who holds one, until when, and what becomes of it. The queue's other half.

On PostgreSQL workers pass over rows that another is taking (FOR UPDATE SKIP LOCKED); on SQLite the
write lock does the same. A lease that is no longer extended frees its job, and so does one that
ends further ahead than any is granted: the clock was set back since.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, or_, select, update

from memos.protocols import Clock, NewId, QueuePolicy
from memos.storage import accounts
from memos.storage.accounts import Measured
from memos.storage.engine import Database
from memos.storage.events import EventLog
from memos.storage.lanes import (
    WAITING,
    FirstCome,
    begin,
    due_lanes,
    lane_name,
    set_waiting,
    take,
)
from memos.storage.records import job_of, micros
from memos.storage.tables import job
from memos.types import Job, JobState, NewEvent, Outcome, Plan

LONGEST_LEASE = 3600.0
"""Seconds. Nobody asks for more, so a lease that has more left is of a clock since set back."""

_ANY_VERSION = 2**31
_COSTS_SECONDS = 2.0
_MEND_SECONDS = 5.0
_LOST = "the worker that held it stopped answering"
_USED_UP = f"{_LOST}, and no attempts are left"


class Leases:
    """What `memos.protocols.JobQueue` says of workers."""

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

    def lease(
        self,
        worker: str,
        *,
        kinds: Sequence[str] | Mapping[str, int],
        limit: int,
        seconds: float,
    ) -> list[Job]:
        now = micros(self._clock())
        versions = kinds if isinstance(kinds, Mapping) else dict.fromkeys(kinds, _ANY_VERSION)
        with self._db.read() as connection:
            # An idle worker takes no write lock.
            lost = connection.execute(select(job.c.id).where(_lost(now)).limit(1)).first()
            lanes = due_lanes(connection, versions, now=now)
        if lost is not None:
            with self._db.write() as connection:
                self._reclaim(connection, now)
            with self._db.read() as connection:
                lanes = due_lanes(connection, versions, now=now)
        if not lanes:
            self._mend(now)
            return []
        with self._db.write() as connection:
            books = accounts.books(
                connection,
                {lane.tenant_id for lane in lanes},
                [kind for kind in self._policy.limits if any(x.kind == kind for x in lanes)],
                known_costs=self.costs(connection),
            )
            plan = self._policy.plan(lanes, books, now=now / 1e6, limit=limit, rng=self._rng)
            until = now + _span(min(seconds, LONGEST_LEASE))
            return self._take(connection, plan, worker, limit, now=now, until=until)

    def _take(
        self, connection: Connection, plan: Plan, worker: str, limit: int, *, now: int, until: int
    ) -> list[Job]:
        """As many as are really there, in the order of the plan."""
        taken: list[Job] = []
        charges: dict[str, float] = defaultdict(float)
        for pick in plan.picks:
            count = min(pick.count, limit - len(taken))
            if count <= 0:
                break
            ids, alone = take(connection, pick.lane, count, now=now, alone=not taken)
            if not ids:
                continue
            rows = begin(connection, ids, worker, now=now, until=until, charge=pick.charge)
            taken += sorted(map(job_of, rows), key=lambda found: (found.run_at, found.id))
            charges[pick.lane.tenant_id] += pick.charge * len(ids)
            if alone:
                break
        accounts.charge(connection, charges, floor=plan.floor, round=plan.round)
        return taken

    def heartbeat(
        self, job_id: str, worker: str, *, seconds: float, progress: float | None = None
    ) -> bool:
        values: dict[str, Any] = {"lease_until": self._until(seconds)}
        if progress is not None:
            values["progress"] = progress
        with self._db.write() as connection:
            held = connection.execute(update(job).where(_held(job_id, worker)).values(values))
            return held.rowcount == 1

    def extend(self, worker: str, *, seconds: float) -> frozenset[str]:
        mine = and_(job.c.worker == worker, job.c.state == JobState.RUNNING.value)
        with self._db.write() as connection:
            # In the order in which `settle` locks them, else the two could wait for each other.
            held = connection.execute(
                select(job.c.id).where(mine).order_by(job.c.id).with_for_update()
            ).scalars()
            ids = list(held)
            connection.execute(
                update(job).where(job.c.id.in_(ids)).values(lease_until=self._until(seconds))
            )
        return frozenset(ids)

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
                told.append((row.tenant_id, _told("dead", row, values["error"], numbers)))
                continue
            values |= {"state": JobState.FAILED.value, "run_at": now + _span(outcome.retry_in)}
            place = self.place(row.tenant_id, row.kind, row.version, spent, self.costs(connection))
            set_waiting(connection, row.id, {**values, **place})
            numbers |= {"retry_in": round(outcome.retry_in, 3), "level": place["level"]}
            told.append((row.tenant_id, _told("fail", row, values["error"], numbers)))
        return told

    def postpone(self, job_id: str, worker: str, *, seconds: float, spent: float = 0.0) -> None:
        with self._db.write() as connection:
            row = connection.execute(
                select(job).where(_held(job_id, worker)).with_for_update()
            ).first()
            if row is not None:
                later = micros(self._clock()) + _span(seconds)
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

    def _reclaim(self, connection: Connection, now: int) -> None:
        """Jobs of workers that died wait again, or are dead if they were tried often enough."""
        rows = connection.execute(
            select(job).where(_lost(now)).order_by(job.c.id).with_for_update(skip_locked=True)
        ).all()
        told, measured = [], defaultdict[str, Measured](Measured)
        for row in rows:
            free: dict[str, Any] = {"worker": None, "lease_until": None}
            numbers = {"kind": row.kind, "attempts": row.attempts, "of": row.max_attempts}
            if row.attempts >= row.max_attempts:
                measured[row.kind].deaths += 1
                error = row.error or _USED_UP
                free |= {"state": JobState.DEAD.value, "error": error, "finished_at": now}
                connection.execute(update(job).where(job.c.id == row.id).values(free))
                told.append((row.tenant_id, _told("dead", row, _USED_UP, numbers)))
                continue
            place = self.place(
                row.tenant_id, row.kind, row.version, row.spent, self.costs(connection)
            )
            # In its turn: it has waited since it was first due.
            back = {"state": JobState.QUEUED.value, "run_at": min(row.run_at, now)}
            set_waiting(connection, row.id, {**free, **back, **place})
            told.append((row.tenant_id, _told("lost", row, _LOST, numbers)))
        accounts.settle(connection, measured, {})
        self._tell(connection, told)

    def _mend(self, now: int) -> None:
        """Jobs that were queued, or put off, by a clock that was set back since would wait until it
        is there again; they are due as long from now as they were then. Looked for now and then,
        when there is nothing else to do."""
        if time.monotonic() - self._mended < _MEND_SECONDS:
            return
        self._mended = time.monotonic()
        ahead = and_(
            job.c.state.in_(WAITING), job.c.run_at > now, job.c.created_at > now + _span(1)
        )
        with self._db.read() as connection:
            if connection.execute(select(job.c.id).where(ahead).limit(1)).first() is None:
                return
        with self._db.write() as connection:
            connection.execute(
                update(job)
                .where(ahead)
                .values(run_at=job.c.run_at - job.c.created_at + now, created_at=now)
            )

    def _until(self, seconds: float) -> int:
        return micros(self._clock()) + _span(min(seconds, LONGEST_LEASE))

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


def _told(verb: str, row: Any, reason: str, numbers: Mapping[str, Any]) -> NewEvent:
    return NewEvent(
        kind=f"job.{verb}",
        subjects=(row.id,),
        reason=reason,
        numbers=numbers,
        cube_id=row.cube_id,
    )


def _span(seconds: float) -> int:
    return int(seconds * 1_000_000)


def _lost(now: int) -> ColumnElement[bool]:
    return and_(
        job.c.state == JobState.RUNNING.value,
        or_(job.c.lease_until <= now, job.c.lease_until > now + _span(2 * LONGEST_LEASE)),
    )


def _held(job_id: str, worker: str) -> ColumnElement[bool]:
    return and_(job.c.id == job_id, job.c.worker == worker, job.c.state == JobState.RUNNING.value)


def _storable(error: str) -> str:
    """An error text that every database holds; it comes from anywhere, and must not be lost."""
    return error[:10_000].replace("\0", "�").encode("utf-8", "replace").decode()
