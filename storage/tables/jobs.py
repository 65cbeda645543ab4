"""Background work, and what is recorded of what was done."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from memos.storage.tables.base import Id, metadata

# No foreign key to the cube: the job that removes a deleted cube's indexes outlives it.
job = Table(
    "job",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, nullable=False),
    Column("cube_id", Id),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("dedupe_key", Text),
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("progress", Float(53), nullable=False),
    Column("error", Text),
    Column("worker", Text),
    Column("lease_until", BigInteger),
    Column("run_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    # Of the payload: a worker that knows only smaller ones leaves the job to others.
    Column("version", Integer, nullable=False, server_default="1"),
    # How urgent, 0 first; seconds of work that went into it; what was charged for it in advance.
    Column("level", Integer, nullable=False, server_default="0"),
    Column("spent", Float(53), nullable=False, server_default="0"),
    Column("charged", Float(53), nullable=False, server_default="0"),
    # Tenant, kind, version and level in one, so that the lanes are found by skips along an index.
    Column("lane", Id, nullable=False, server_default=""),
    Index(
        "ix_job_lane",
        "lane",
        "run_at",
        "id",
        sqlite_where=text("state IN ('queued', 'failed')"),
        postgresql_where=text("state IN ('queued', 'failed')"),
    ),
    Index(
        "ix_job_lease",
        "lease_until",
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
    Index("ix_job_cube", "cube_id", "state"),
    Index("ix_job_tenant", "tenant_id", "id"),
    Index("ix_job_worker", "worker"),
    Index(
        "uq_job_dedupe",
        "tenant_id",
        "dedupe_key",
        unique=True,
        sqlite_where=text("dedupe_key IS NOT NULL AND state IN ('queued', 'failed')"),
        postgresql_where=text("dedupe_key IS NOT NULL AND state IN ('queued', 'failed')"),
    ),
)

# Append-only: rows are never changed, and go only with the database.
audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, nullable=False),
    Column("actor", Text),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_audit_tenant", "tenant_id", "at"),
)

receipt = Table(
    "receipt",
    metadata,
    Column("tenant_id", Id, nullable=False),
    Column("key", Text, nullable=False),
    Column("request_hash", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "key", name="pk_receipt"),
    Index("ix_receipt_created", "created_at"),
)
