"""The table of schedules: jobs that are queued at the times of a cron expression."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, Table, Text

from memos.storage.tables.base import Id, metadata

schedule = Table(
    "schedule",
    metadata,
    Column("tenant_id", Id, nullable=False),
    Column("name", Id, nullable=False),
    Column("cube_id", Id, nullable=False),
    Column("cron", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("last_at", BigInteger),
    Column("last_job", Id),
    Column("created_at", BigInteger, nullable=False),
    Column("actor", Text),
    PrimaryKeyConstraint("cube_id", "name", name="pk_schedule"),
    Index("ix_schedule_next", "next_at"),
)
