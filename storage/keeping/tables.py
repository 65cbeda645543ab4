"""Tables of what was done to memories and why, of where they come from, and of their use.

Written as those of `memos.storage.tables`, and part of the same schema. No text of a memory is
kept here: an erase has to remove rows by their ids only.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table, Text

from memos.storage.tables import Id, metadata

action = Table(
    "action",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("kind", Text, nullable=False),
    Column("about", Id, nullable=False),
    Column("reason", Text, nullable=False),
    Column("numbers", Text, nullable=False),
    Column("run_id", Text),
    Column("actor", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("undone_at", BigInteger),
    PrimaryKeyConstraint("cube_id", "id", name="pk_action"),
)

# The memories of an action by their versions before and after it; 0 before: it was made.
action_step = Table(
    "action_step",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("action_id", Id, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("memory_id", Id, nullable=False),
    Column("before", Integer, nullable=False),
    Column("after", Integer, nullable=False),
    PrimaryKeyConstraint("cube_id", "action_id", "ordinal", name="pk_action_step"),
    Index("ix_action_step_memory", "cube_id", "memory_id"),
)

lineage = Table(
    "lineage",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("derived_id", Id, nullable=False),
    Column("source_id", Id, nullable=False),
    Column("source_version", Integer, nullable=False),
    Column("relation", Text, nullable=False),
    Column("action_id", Id, nullable=False),
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

CONTENTS = (action, action_step, lineage, memory_use, policy)
"""What goes with a cube."""
