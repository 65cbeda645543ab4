"""The tables of the truth, as the newest migration leaves them (a test compares the two).

Only plain column types, the same on SQLite and PostgreSQL, so that both behave alike and rows need
no conversion by SQLAlchemy: times are whole microseconds since 1970 (UTC), structured values are
JSON text, vectors little-endian float32, digests raw bytes. `memos.storage.records` knows how rows
become types.
"""

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
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

# Ids are compared byte by byte on PostgreSQL too, whatever the language of the database.
Id = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData()

tenant = Table(
    "tenant",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenant.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("cubes", Text, nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    UniqueConstraint("secret_sha256", name="uq_api_key_secret"),
    Index("ix_api_key_tenant", "tenant_id", "id"),
)

cube = Table(
    "cube",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenant.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("change_seq", BigInteger, nullable=False),
    Column("model_id", Text),
    Column("model_digest", Text),
    Column("model_dimensions", Integer),
    Column("model_max_tokens", Integer),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("tenant_id", "name", name="uq_cube_name"),
    Index("ix_cube_tenant", "tenant_id", "id"),
)

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
    UniqueConstraint("cube_id", "source_id", "target_id", "relation", name="uq_link_ends"),
    ForeignKeyConstraint(
        ["cube_id", "source_id"], ["memory.cube_id", "memory.id"], name="fk_link_source"
    ),
    ForeignKeyConstraint(
        ["cube_id", "target_id"], ["memory.cube_id", "memory.id"], name="fk_link_target"
    ),
    Index("ix_link_target", "cube_id", "target_id"),
)

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
    Index("ix_job_due", "state", "run_at"),
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
