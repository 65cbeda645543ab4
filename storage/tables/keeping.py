"""Tables of where memories come from, how they are used, and how cubes keep them.

No text of a memory is
kept here: an erase has to remove rows by their ids only.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table, Text

from memos.storage.tables.base import Id, metadata

lineage = Table(
    "lineage",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("derived_id", Id, nullable=False),
    Column("source_id", Id, nullable=False),
    Column("source_version", Integer, nullable=False),
    Column("relation", Text, nullable=False),
    PrimaryKeyConstraint("cube_id", "derived_id", "source_id", name="pk_lineage"),
    Index("ix_lineage_source", "cube_id", "source_id"),
)

memory_use = Table(
    "memory_use",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("memory_id", Id, nullable=False),
    Column("uses", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("pinned", Integer, nullable=False),
    PrimaryKeyConstraint("cube_id", "memory_id", name="pk_memory_use"),
)

policy = Table(
    "policy",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("content", Text, nullable=False),
    Column("actor", Text),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("cube_id", name="pk_policy"),
)

KEPT = (lineage, memory_use, policy)
"""What goes with a cube."""
