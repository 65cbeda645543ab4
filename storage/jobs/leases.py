"""Leases of jobs: who holds one, until when, and what becomes of it. The queue's other half.

On PostgreSQL workers pass over rows that another is taking (FOR UPDATE SKIP LOCKED); on SQLite the
write lock does the same. A lease that is no longer extended frees its job, and so does one that
ends further ahead than any is granted: the clock was set back since.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from memos.storage.jobs import accounts
from memos.storage.jobs.accounts import Measured
from memos.storage.jobs.lanes import WAITING, begin, due_lanes, set_waiting, take
from memos.storage.jobs.settling import Settling, held_by, span, told_of
from memos.storage.records import job_of, micros
from memos.storage.tables import job
from memos.types import Job, JobState, Plan

LONGEST_LEASE = 3600.0
"""Seconds. Nobody asks for more, so a lease that has more left is of a clock since set back."""

_ANY_VERSION = 2**31
_MEND_SECONDS = 5.0
_LOST = "the worker that held it stopped answering, or could not record how it ended"
_USED_UP = f"{_LOST}, and no attempts are left"


class Leases(Settling):
    """What `memos.protocols.JobQueue` says of workers."""

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
            until = now + span(min(seconds, LONGEST_LEASE))
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
            held = connection.execute(update(job).where(held_by(job_id, worker)).values(values))
            return held.rowcount == 1

    def extend(self, worker: str, jobs: Collection[str], *, seconds: float) -> frozenset[str]:
        mine = and_(
            job.c.id.in_(sorted(jobs)),
            job.c.worker == worker,
            job.c.state == JobState.RUNNING.value,
        )
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
                told.append((row.tenant_id, told_of("dead", row, _USED_UP, numbers)))
                continue
            place = self.place(
                row.tenant_id, row.kind, row.version, row.spent, self.costs(connection)
            )
            # In its turn: it has waited since it was first due.
            back = {"state": JobState.QUEUED.value, "run_at": min(row.run_at, now)}
            set_waiting(connection, row.id, {**free, **back, **place})
            told.append((row.tenant_id, told_of("lost", row, _LOST, numbers)))
        accounts.settle(connection, measured, {})
        self._tell(connection, told)

    def _mend(self, now: int) -> None:
        """Jobs that were queued, or put off, by a clock that was set back since would wait until it
        is there again; they are due as long from now as they were then. Looked for now and then,
        when there is nothing else to do."""
        if time.monotonic() - self._mended < _MEND_SECONDS:
            return
        self._mended = time.monotonic()
        ahead = and_(job.c.state.in_(WAITING), job.c.run_at > now, job.c.created_at > now + span(1))
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
        return micros(self._clock()) + span(min(seconds, LONGEST_LEASE))


def _lost(now: int) -> ColumnElement[bool]:
    return and_(
        job.c.state == JobState.RUNNING.value,
        or_(job.c.lease_until <= now, job.c.lease_until > now + span(2 * LONGEST_LEASE)),
    )
