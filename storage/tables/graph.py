"""The graph: entities, what was said of them, the facts that follow, and rulings of people.

Times of the world and the end of a belief are never null here: what is open on one side is the
least or the greatest number (`memos.storage.graph.records`), so that a view at two times is two
comparisons that an index can answer.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from memos.storage.tables.base import Id, metadata

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
