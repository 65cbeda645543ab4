"""What the queue has measured, in SQL, so that all workers decide by the same numbers.

`account` has what each tenant was charged, in seconds of work, and in the row of no tenant the
round up to which everybody has been served. `job_kind` has what jobs of a kind cost. Rows are
locked in the order of their keys, kinds before tenants, by all who change several.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Connection, Float, Table, func, select, text

from memos.storage.tables import Id, job, metadata
from memos.types import Books, JobState

account = Table(
    "account",
    metadata,
    Column("tenant_id", Id, primary_key=True),
    Column("spent", Float(53), nullable=False),
)

# `seconds` is the moving mean of a run, the others are sums since the database was made.
job_kind = Table(
    "job_kind",
    metadata,
    Column("kind", Id, primary_key=True),
    Column("seconds", Float(53), nullable=False),
    Column("runs", BigInteger, nullable=False),
    Column("failures", BigInteger, nullable=False),
    Column("deaths", BigInteger, nullable=False),
    Column("run_seconds", Float(53), nullable=False),
    Column("wait_seconds", Float(53), nullable=False),
)

_ROUND = ""
_KEEP = 0.9
"""Of the moving mean, with each run."""

_charge = text(
    "INSERT INTO account (tenant_id, spent) VALUES (:tenant_id, :floor + :charge)"
    " ON CONFLICT (tenant_id) DO UPDATE SET spent = :charge +"
    " CASE WHEN account.spent < :floor THEN :floor ELSE account.spent END"
)
_correct = text("UPDATE account SET spent = spent + :charge WHERE tenant_id = :tenant_id")
_reach = text(
    "INSERT INTO account (tenant_id, spent) VALUES (:tenant_id, :round)"
    " ON CONFLICT (tenant_id) DO UPDATE SET spent = :round WHERE account.spent < :round"
)
_measure = text(
    "INSERT INTO job_kind"
    " (kind, seconds, runs, failures, deaths, run_seconds, wait_seconds)"
    " VALUES (:kind, :mean, :runs, :failures, :deaths, :run_seconds, :wait_seconds)"
    " ON CONFLICT (kind) DO UPDATE SET"
    " seconds = CASE WHEN job_kind.runs = 0 AND :runs > 0 THEN :mean"
    " ELSE job_kind.seconds * :keep + :mean * (1 - :keep) END,"
    " runs = job_kind.runs + :runs, failures = job_kind.failures + :failures,"
    " deaths = job_kind.deaths + :deaths,"
    " run_seconds = job_kind.run_seconds + :run_seconds,"
    " wait_seconds = job_kind.wait_seconds + :wait_seconds"
)


@dataclass(slots=True)
class Measured:
    """What runs of one kind came to, to be added to the books."""

    runs: int = 0
    failures: int = 0
    deaths: int = 0
    run_seconds: float = 0.0
    wait_seconds: float = 0.0


def costs(connection: Connection) -> dict[str, float]:
    """The mean run of each kind that was ever run, in seconds."""
    query = select(job_kind.c.kind, job_kind.c.seconds).where(job_kind.c.runs > 0)
    return {row[0]: row[1] for row in connection.execute(query)}


def books(
    connection: Connection,
    tenants: Iterable[str],
    limited: Sequence[str],
    *,
    known_costs: Mapping[str, float],
) -> Books:
    """What a plan for these tenants needs; kinds in `limited` stay locked until the commit, so that
    no two workers count the same room."""
    running: dict[str, int] = {}
    if limited:
        for kind in sorted(limited):
            _add(connection, kind, Measured(), keep=1.0)
        count = (
            select(job.c.kind, func.count())
            .where(job.c.state == JobState.RUNNING.value, job.c.kind.in_(limited))
            .group_by(job.c.kind)
        )
        running = {row[0]: row[1] for row in connection.execute(count)}
    wanted = [_ROUND, *tenants]
    rows = connection.execute(
        select(account.c.tenant_id, account.c.spent).where(account.c.tenant_id.in_(wanted))
    )
    spent = {row[0]: row[1] for row in rows}
    return Books(spent=spent, round=spent.pop(_ROUND, 0.0), costs=known_costs, running=running)


def charge(
    connection: Connection, charges: Mapping[str, float], *, floor: float, round: float
) -> None:
    """In advance, at a lease: by tenant, in seconds; and the round that was reached."""
    rows = [
        {"tenant_id": tenant_id, "charge": seconds, "floor": floor}
        for tenant_id, seconds in sorted(charges.items())
    ]
    if rows:
        connection.execute(_charge, rows)
        connection.execute(_reach, {"tenant_id": _ROUND, "round": round})


def settle(
    connection: Connection, measured: Mapping[str, Measured], corrections: Mapping[str, float]
) -> None:
    """After runs: what they came to by kind, and what tenants still owe or get back."""
    for kind, sums in sorted(measured.items()):
        _add(connection, kind, sums, keep=_KEEP**sums.runs)
    rows = [
        {"tenant_id": tenant_id, "charge": seconds}
        for tenant_id, seconds in sorted(corrections.items())
    ]
    if rows:
        connection.execute(_correct, rows)


def _add(connection: Connection, kind: str, sums: Measured, *, keep: float) -> None:
    mean = sums.run_seconds / sums.runs if sums.runs else 0.0
    connection.execute(
        _measure,
        {
            "kind": kind,
            "mean": mean,
            "keep": keep,
            "runs": sums.runs,
            "failures": sums.failures,
            "deaths": sums.deaths,
            "run_seconds": sums.run_seconds,
            "wait_seconds": sums.wait_seconds,
        },
    )
