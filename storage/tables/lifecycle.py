"""The table of the rules by which memories go through their lives."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, Table, Text

from memos.storage.tables.base import Id, metadata

# Spans in microseconds; null: never by itself.
lifecycle_rule = Table(
    "lifecycle_rule",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("kind", Id, nullable=False),
    Column("archive_after", BigInteger),
    Column("expire_after", BigInteger),
    Column("erase_after", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Column("actor", Text),
    PrimaryKeyConstraint("cube_id", "kind", name="pk_lifecycle_rule"),
)
