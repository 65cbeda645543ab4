"""Memories, their versions, what indexes are made of, and the links between them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from memos.storage.tables.base import Id, metadata

memory = Table(
    "memory",
    metadata,
    Column("cube_id", Id, ForeignKey("cube.id"), nullable=False),
    Column("id", Id, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("user_id", Text),
    Column("agent_id", Text),
    Column("session_id", Text),
    Column("speaker", Text),
    Column("place", Text),
    Column("occurred_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("priority", Float(53), nullable=False),
    Column("metadata", Text, nullable=False),
    Column("images", Text, nullable=False),
    Column("provenance", Text, nullable=False),
    Column("content", Text, nullable=False),
    PrimaryKeyConstraint("cube_id", "id", name="pk_memory"),
    Index("ix_memory_seq", "cube_id", "seq", unique=True),
    Index("ix_memory_position", "cube_id", "position", unique=True),
    Index("ix_memory_session", "cube_id", "session_id", "position"),
    Index(
        "ix_memory_expires",
        "expires_at",
        sqlite_where=text("expires_at IS NOT NULL"),
        postgresql_where=text("expires_at IS NOT NULL"),
    ),
)

# No foreign keys from here and from `indexed` to `memory`: PostgreSQL plans their checks while the
# tables are still empty, and then reads the whole cube for each row. `StoreHealth.check` looks.
memory_version = Table(
    "memory_version",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("memory_id", Id, nullable=False),
    Column("version", Integer, nullable=False),
    Column("operation", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("actor", Text),
    Column("reason", Text),
    Column("snapshot", Text),
    PrimaryKeyConstraint("cube_id", "memory_id", "version", name="pk_memory_version"),
    Index("ix_memory_version_changed", "cube_id", "changed_at"),
)

# What the derived indexes are made of: at most one row per memory, and the version it is of.
indexed = Table(
    "indexed",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("memory_id", Id, nullable=False),
    Column("version", Integer, nullable=False),
    Column("analyzer", Text),
    Column("model", Text),
    Column("text_sha256", LargeBinary),
    Column("terms", Text),
    Column("vector", LargeBinary),
    PrimaryKeyConstraint("cube_id", "memory_id", name="pk_indexed"),
    Index("ix_indexed_text", "cube_id", "text_sha256"),
)

link = Table(
    "link",
    metadata,
    Column("id", Id, primary_key=True),
    Column("cube_id", Id, nullable=False),
    Column("source_id", Id, nullable=False),
    Column("target_id", Id, nullable=False),
    Column("relation", Text, nullable=False),
    Column("reason", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("origin", Text),
    UniqueConstraint("cube_id", "source_id", "target_id", "relation", name="uq_link_ends"),
    ForeignKeyConstraint(
        ["cube_id", "source_id"], ["memory.cube_id", "memory.id"], name="fk_link_source"
    ),
    ForeignKeyConstraint(
        ["cube_id", "target_id"], ["memory.cube_id", "memory.id"], name="fk_link_target"
    ),
    Index("ix_link_target", "cube_id", "target_id"),
)

# Links as they were until somebody removed them; those of erased memories are in neither table.
removed_link = Table(
    "removed_link",
    metadata,
    Column("id", Id, primary_key=True),
    Column("cube_id", Id, nullable=False),
    Column("source_id", Id, nullable=False),
    Column("target_id", Id, nullable=False),
    Column("relation", Text, nullable=False),
    Column("reason", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger, nullable=False),
    Column("origin", Text),
    Index("ix_removed_link_source", "cube_id", "source_id"),
    Index("ix_removed_link_target", "cube_id", "target_id"),
)
