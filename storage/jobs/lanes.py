"""The lanes of waiting jobs: how they are named, found, and how jobs are taken from one.

A lane is found by skips along an index, so that a long backlog costs no more than a short one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from sqlalchemy import Connection, bindparam, case, exc, exists, null, select, text, update

from memos.storage.tables import job
from memos.types import Books, JobState, Lane, Pick, Plan

WAITING = (JobState.QUEUED.value, JobState.FAILED.value)
_MARK = "\x1f"

_heads = text(
    "WITH RECURSIVE head(lane) AS ("
    " SELECT min(lane) FROM job WHERE state IN ('queued', 'failed')"
    " UNION ALL SELECT (SELECT min(lane) FROM job"
    " WHERE state IN ('queued', 'failed') AND lane > head.lane)"
    " FROM head WHERE head.lane IS NOT NULL)"
    " SELECT lane, (SELECT min(run_at) FROM job"
    " WHERE state IN ('queued', 'failed') AND job.lane = head.lane)"
    " FROM head WHERE lane IS NOT NULL"
)
_first = (
    select(job.c.id, job.c.attempts, job.c.max_attempts)
    .where(
        job.c.lane == bindparam("lane"),
        job.c.state.in_(WAITING),
        job.c.run_at <= bindparam("now"),
    )
    .order_by(job.c.run_at, job.c.id)
    .limit(bindparam("count"))
    .with_for_update(skip_locked=True)
)


def lane_name(tenant_id: str, kind: str, version: int, level: int) -> str:
    return _MARK.join((tenant_id, kind, str(version), str(level)))


def due_lanes(connection: Connection, versions: Mapping[str, int], *, now: int) -> list[Lane]:
    """Lanes with a job that is due, of kinds in `versions`, up to the version named there."""
    found = []
    for name, run_at in connection.execute(_heads):
        if run_at is None or run_at > now:
            continue
        tenant_id, kind, version, level = name.rsplit(_MARK, 3)
        if int(version) <= versions.get(kind, 0):
            found.append(Lane(tenant_id, kind, int(version), int(level), run_at / 1e6))
    return found


def take(
    connection: Connection, lane: Lane, count: int, *, now: int, alone: bool
) -> tuple[list[str], bool]:
    """Ids of at most `count` due jobs of a lane, locked, first come first; those that others are
    taking are passed over. And whether one of them must have the worker to itself.

    What was tried before may be what killed its worker, and would take along those that were taken
    with it, again and again; so it is taken alone, as is what has a single attempt. `alone`:
    nothing else was taken yet.
    """
    name = lane_name(lane.tenant_id, lane.kind, lane.version, lane.level)
    rows = connection.execute(_first, {"lane": name, "now": now, "count": count}).all()
    ids: list[str] = []
    for job_id, attempts, most in rows:
        if attempts > 0 or most <= 1:
            if alone and not ids:
                return [job_id], True
            break
        ids.append(job_id)
    return ids, False


def begin(
    connection: Connection,
    ids: Sequence[str],
    worker: str,
    *,
    now: int,
    until: int,
    charge: float,
) -> Sequence[Any]:
    """The rows of these jobs, now held by `worker` until then."""
    return connection.execute(
        update(job)
        .where(job.c.id.in_(ids))
        .values(
            state=JobState.RUNNING.value,
            worker=worker,
            lease_until=until,
            attempts=job.c.attempts + 1,
            started_at=now,
            finished_at=None,
            charged=charge,
        )
        .returning(*job.c)
    ).all()


def set_waiting(connection: Connection, job_id: str, values: Mapping[str, Any]) -> None:
    """Lets a job wait again. It gives up its dedupe key if another took the place meanwhile:
    running it twice is allowed, losing it is not."""
    other = job.alias("other")
    clash = exists().where(
        other.c.tenant_id == job.c.tenant_id,
        other.c.dedupe_key == job.c.dedupe_key,
        other.c.state.in_(WAITING),
        other.c.id != job.c.id,
    )
    change = update(job).where(job.c.id == job_id).values(values)
    try:
        with connection.begin_nested():
            connection.execute(
                change.values(dedupe_key=case((clash, null()), else_=job.c.dedupe_key))
            )
    except exc.IntegrityError:
        # Queued by another transaction between the look and the change.
        connection.execute(change.values(dedupe_key=None))


class FirstCome:
    """`memos.protocols.QueuePolicy` where none is given: all are equal, the oldest lane first."""

    limits: Mapping[str, int] = {}

    def level(self, kind: str, *, mean: float, spent: float) -> int:
        return 0

    def plan(
        self, lanes: Sequence[Lane], books: Books, *, now: float, limit: int, rng: Random
    ) -> Plan:
        ordered = sorted(lanes, key=lambda lane: lane.since)
        return Plan(tuple(Pick(lane, limit, 0.0) for lane in ordered), books.round, books.round)
