"""Files that are made of memories: states of a model, and adapters."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table, Text

from memos.storage.tables.base import Id, metadata

# Files of states (activation) and adapters (parametric). `own_text` is in no memory. The row comes
# before the files; `artifact_source` says what they were made of. `attached` and `detail`, JSON,
# are of adapters.
artifact = Table(
    "artifact",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("substrate", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("system", Text, nullable=False),
    Column("own_text", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("root", Text),
    Column("file", Text),
    Column("tokens", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("codec", Text, nullable=False),
    Column("policy", Text),
    Column("pinned", Integer, nullable=False),
    Column("hits", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("actor", Text),
    Column("job_id", Text),
    Column("attached", Integer, nullable=False, server_default="0"),
    Column("detail", Text),
    PrimaryKeyConstraint("cube_id", "id", name="pk_artifact"),
    Index("ix_artifact_substrate", "cube_id", "substrate", "id"),
)

artifact_source = Table(
    "artifact_source",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("artifact_id", Id, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("memory_id", Id, nullable=False),
    Column("version", Integer, nullable=False),
    PrimaryKeyConstraint("cube_id", "artifact_id", "ordinal", name="pk_artifact_source"),
    Index("ix_artifact_source_memory", "cube_id", "memory_id"),
)
