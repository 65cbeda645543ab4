"""Notes on memories, and summaries of many."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table, Text

from memos.storage.tables.base import Id, metadata

note = Table(
    "note",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("memory_id", Id, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("keywords", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("context", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("cause", Id),
    Column("created_at", BigInteger, nullable=False),
    Column("expired_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("cube_id", "memory_id", "revision", name="pk_note"),
    Index("ix_note_cause", "cube_id", "cause"),
)

summary = Table(
    "summary",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Id, nullable=False),
    Column("text", Text, nullable=False),
    Column("entity_ids", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expired_at", BigInteger, nullable=False),
    # A digest of the turns that it was made of, and 1 once somebody took it back.
    Column("covers", Text),
    Column("undone", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("cube_id", "id", name="pk_summary"),
    Index("ix_summary_key", "cube_id", "kind", "key", "expired_at"),
)

summary_source = Table(
    "summary_source",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("summary_id", Id, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("memory_id", Id, nullable=False),
    PrimaryKeyConstraint("cube_id", "summary_id", "ordinal", name="pk_summary_source"),
    Index("ix_summary_source_memory", "cube_id", "memory_id"),
)
