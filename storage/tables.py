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
    # Keeps the tenant's states apart from others'; never leaves the server.
    Column("salt", LargeBinary),
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
    # The newest graph change number, and the version of the rules that derived the facts.
    Column("graph_seq", BigInteger, nullable=False, server_default="0"),
    Column("graph_rules", Text),
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

# The graph. Times of the world and the end of a belief are never null there: what is open on one
# side is the least or the greatest number (`memos.storage.graph.records`), so that a view at two
# times is two comparisons that an index can answer.

entity = Table(
    "entity",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("merged_into", Id),
    Column("vector", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("cube_id", "id", name="pk_entity"),
    Index("ix_entity_seq", "cube_id", "seq"),
    Index("ix_entity_type", "cube_id", "type", "id"),
    Index("ix_entity_merged", "cube_id", "merged_into"),
)

entity_alias = Table(
    "entity_alias",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("normal", Id, nullable=False),
    Column("entity_id", Id, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("cube_id", "normal", "entity_id", name="pk_entity_alias"),
    Index("ix_entity_alias_entity", "cube_id", "entity_id"),
)

# `said_id` is the entity as it was resolved, `entity_id` the one it stands for by rulings since;
# `spans` are the places: a JSON list of [surface, normal, start, end].
mention = Table(
    "mention",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("memory_id", Id, nullable=False),
    Column("said_id", Id, nullable=False),
    Column("entity_id", Id, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("active", Integer, nullable=False),
    Column("spans", Text, nullable=False),
    PrimaryKeyConstraint("cube_id", "memory_id", "said_id", name="pk_mention"),
    Index("ix_mention_entity", "cube_id", "entity_id", "memory_id"),
    Index("ix_mention_seq", "cube_id", "seq"),
)

# `object_key` is the digest of the object or value, 0 where the assertion bears on others too
# (without an object, or a correction). `current`: of the memory's present reading.
_ahead = text(f"valid_at > stated_at OR valid_at = {-(2**63)}")
assertion = Table(
    "assertion",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("memory_id", Id, nullable=False),
    Column("subject_id", Id, nullable=False),
    Column("said_subject_id", Id, nullable=False),
    Column("predicate", Id, nullable=False),
    Column("object_id", Id),
    Column("said_object_id", Id),
    Column("value", Text),
    Column("object_key", BigInteger, nullable=False),
    Column("quantity", Float(53)),
    Column("unit", Text),
    Column("negated", Integer, nullable=False),
    Column("corrects", Integer, nullable=False),
    Column("replaces", Text),
    Column("valid_at", BigInteger, nullable=False),
    Column("granularity", Text),
    Column("invalid_at", BigInteger, nullable=False),
    Column("invalid_granularity", Text),
    Column("stated_at", BigInteger, nullable=False),
    Column("place", Text),
    Column("confidence", Float(53), nullable=False),
    Column("extractor", Text, nullable=False),
    Column("span_start", Integer, nullable=False),
    Column("span_end", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("current", Integer, nullable=False),
    Column("active", Integer, nullable=False),
    PrimaryKeyConstraint("cube_id", "id", name="pk_assertion"),
    Index("ix_assertion_memory", "cube_id", "memory_id"),
    Index("ix_assertion_group", "cube_id", "subject_id", "predicate", "object_key"),
    # What was said last of a subject and predicate, and what is of a later time than that.
    Index("ix_assertion_stated", "cube_id", "subject_id", "predicate", "stated_at"),
    Index(
        "ix_assertion_ahead",
        "cube_id",
        "subject_id",
        "predicate",
        sqlite_where=_ahead,
        postgresql_where=_ahead,
    ),
)

# Revisions of facts. `seq` is null but for the newest revision of each fact.
fact = Table(
    "fact",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("seq", BigInteger),
    Column("subject_id", Id, nullable=False),
    Column("predicate", Id, nullable=False),
    Column("object_id", Id),
    Column("value", Text),
    Column("value_key", BigInteger),
    Column("quantity", Float(53)),
    Column("unit", Text),
    Column("negated", Integer, nullable=False),
    Column("event", Integer, nullable=False),
    Column("place", Text),
    Column("confidence", Float(53), nullable=False),
    Column("valid_at", BigInteger, nullable=False),
    Column("granularity", Text),
    Column("invalid_at", BigInteger, nullable=False),
    Column("invalid_granularity", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("expired_at", BigInteger, nullable=False),
    Column("closed_by", Id),
    Column("closing", Id),
    Column("rule", Text),
    PrimaryKeyConstraint("cube_id", "id", "revision", name="pk_fact"),
    Index("ix_fact_seq", "cube_id", "seq"),
    # The most confident facts of an entity that hold in a view, without a look at the rows.
    Index(
        "ix_fact_subject",
        "cube_id",
        "subject_id",
        "expired_at",
        "confidence",
        "seq",
        "valid_at",
        "invalid_at",
    ),
    Index(
        "ix_fact_object",
        "cube_id",
        "object_id",
        "expired_at",
        "confidence",
        "seq",
        "valid_at",
        "invalid_at",
    ),
    Index(
        "ix_fact_predicate",
        "cube_id",
        "predicate",
        "subject_id",
        "expired_at",
        "id",
    ),
    Index("ix_fact_value", "cube_id", "value_key", "expired_at"),
    # Facts of a subject and predicate that go on after a time.
    Index(
        "ix_fact_going",
        "cube_id",
        "subject_id",
        "predicate",
        "expired_at",
        "invalid_at",
        "valid_at",
    ),
)

# What a fact rested on, and when.
fact_source = Table(
    "fact_source",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("fact_id", Id, nullable=False),
    Column("assertion_id", Id, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expired_at", BigInteger, nullable=False),
    Index("ix_fact_source_fact", "cube_id", "fact_id"),
    Index("ix_fact_source_assertion", "cube_id", "assertion_id"),
)

ruling = Table(
    "ruling",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("kind", Text, nullable=False),
    Column("source_id", Id, nullable=False),
    Column("target_id", Id),
    Column("assertions", Text, nullable=False),
    Column("actor", Text),
    Column("reason", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    PrimaryKeyConstraint("cube_id", "id", name="pk_ruling"),
)

predicate_type = Table(
    "predicate_type",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("name", Id, nullable=False),
    Column("functional", Integer, nullable=False),
    Column("event", Integer, nullable=False),
    Column("inverse", Text),
    Column("subject_types", Text, nullable=False),
    Column("object_types", Text, nullable=False),
    Column("description", Text, nullable=False),
    PrimaryKeyConstraint("cube_id", "name", name="pk_predicate_type"),
)

entity_type = Table(
    "entity_type",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("name", Id, nullable=False),
    Column("description", Text, nullable=False),
    Column("parent", Text),
    PrimaryKeyConstraint("cube_id", "name", name="pk_entity_type"),
)

# Which version of a memory was read last, by whom, or why that failed.
reading = Table(
    "reading",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("memory_id", Id, nullable=False),
    Column("version", Integer, nullable=False),
    Column("extractor", Text, nullable=False),
    Column("error", Text),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("cube_id", "memory_id", name="pk_reading"),
)

# Up to `position` the extractor has nothing left to read.
reading_mark = Table(
    "reading_mark",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("extractor", Id, nullable=False),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("cube_id", "extractor", name="pk_reading_mark"),
)

# What followers of the feed have to drop, its rows being gone.
graph_gone = Table(
    "graph_gone",
    metadata,
    Column("cube_id", Id, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("id", Id, nullable=False),
    PrimaryKeyConstraint("cube_id", "seq", name="pk_graph_gone"),
)

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
