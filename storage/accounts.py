"""What the queue has measured, in SQL, so that all workers decide by the same numbers.

`account` has what each tenant was charged, in seconds of work, and in the row of no tenant the
round up to which everybody has been served. `job_kind` has what jobs of a kind cost.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Table

from memos.storage.tables import Id, metadata

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
