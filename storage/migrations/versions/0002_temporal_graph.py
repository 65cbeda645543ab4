"""The temporal graph: entities, assertions, facts in two times, rulings; notes and summaries."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("cube", sa.Column("graph_seq", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("cube", sa.Column("graph_rules", sa.Text))
    op.create_index("ix_memory_version_changed", "memory_version", ["cube_id", "changed_at"])
    op.create_table(
        "entity",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("merged_into", ID),
        sa.Column("vector", sa.LargeBinary),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", "id", name="pk_entity"),
    )
    op.create_index("ix_entity_seq", "entity", ["cube_id", "seq"])
    op.create_index("ix_entity_type", "entity", ["cube_id", "type", "id"])
    op.create_index("ix_entity_merged", "entity", ["cube_id", "merged_into"])
    op.create_table(
        "entity_alias",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("normal", ID, nullable=False),
        sa.Column("entity_id", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", "normal", "entity_id", name="pk_entity_alias"),
    )
    op.create_index("ix_entity_alias_entity", "entity_alias", ["cube_id", "entity_id"])
    op.create_table(
        "mention",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("memory_id", ID, nullable=False),
        sa.Column("said_id", ID, nullable=False),
        sa.Column("entity_id", ID, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("active", sa.Integer, nullable=False),
        sa.Column("spans", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", "memory_id", "said_id", name="pk_mention"),
    )
    op.create_index("ix_mention_entity", "mention", ["cube_id", "entity_id"])
    op.create_index("ix_mention_seq", "mention", ["cube_id", "seq"])
    op.create_table(
        "assertion",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("memory_id", ID, nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("said_subject_id", ID, nullable=False),
        sa.Column("predicate", ID, nullable=False),
        sa.Column("object_id", ID),
        sa.Column("said_object_id", ID),
        sa.Column("value", sa.Text),
        sa.Column("object_key", sa.BigInteger, nullable=False),
        sa.Column("quantity", sa.Float(53)),
        sa.Column("unit", sa.Text),
        sa.Column("negated", sa.Integer, nullable=False),
        sa.Column("corrects", sa.Integer, nullable=False),
        sa.Column("replaces", sa.Text),
        sa.Column("valid_at", sa.BigInteger, nullable=False),
        sa.Column("granularity", sa.Text),
        sa.Column("invalid_at", sa.BigInteger, nullable=False),
        sa.Column("invalid_granularity", sa.Text),
        sa.Column("stated_at", sa.BigInteger, nullable=False),
        sa.Column("place", sa.Text),
        sa.Column("confidence", sa.Float(53), nullable=False),
        sa.Column("extractor", sa.Text, nullable=False),
        sa.Column("span_start", sa.Integer, nullable=False),
        sa.Column("span_end", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("current", sa.Integer, nullable=False),
        sa.Column("active", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", "id", name="pk_assertion"),
    )
    op.create_index("ix_assertion_memory", "assertion", ["cube_id", "memory_id"])
    op.create_index(
        "ix_assertion_group", "assertion", ["cube_id", "subject_id", "predicate", "object_key"]
    )
    op.create_table(
        "fact",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("seq", sa.BigInteger),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("predicate", ID, nullable=False),
        sa.Column("object_id", ID),
        sa.Column("value", sa.Text),
        sa.Column("value_key", sa.BigInteger),
        sa.Column("quantity", sa.Float(53)),
        sa.Column("unit", sa.Text),
        sa.Column("negated", sa.Integer, nullable=False),
        sa.Column("event", sa.Integer, nullable=False),
        sa.Column("place", sa.Text),
        sa.Column("confidence", sa.Float(53), nullable=False),
        sa.Column("valid_at", sa.BigInteger, nullable=False),
        sa.Column("granularity", sa.Text),
        sa.Column("invalid_at", sa.BigInteger, nullable=False),
        sa.Column("invalid_granularity", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expired_at", sa.BigInteger, nullable=False),
        sa.Column("closed_by", ID),
        sa.Column("closing", ID),
        sa.Column("rule", sa.Text),
        sa.PrimaryKeyConstraint("cube_id", "id", "revision", name="pk_fact"),
    )
    op.create_index("ix_fact_seq", "fact", ["cube_id", "seq"])
    op.create_index(
        "ix_fact_subject",
        "fact",
        ["cube_id", "subject_id", "expired_at", "confidence", "seq", "valid_at", "invalid_at"],
    )
    op.create_index(
        "ix_fact_object",
        "fact",
        ["cube_id", "object_id", "expired_at", "confidence", "seq", "valid_at", "invalid_at"],
    )
    op.create_index(
        "ix_fact_predicate",
        "fact",
        ["cube_id", "predicate", "subject_id", "expired_at", "id"],
    )
    op.create_index("ix_fact_value", "fact", ["cube_id", "value_key", "expired_at"])
    op.create_table(
        "fact_source",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("fact_id", ID, nullable=False),
        sa.Column("assertion_id", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expired_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_fact_source_fact", "fact_source", ["cube_id", "fact_id"])
    op.create_index("ix_fact_source_assertion", "fact_source", ["cube_id", "assertion_id"])
    op.create_table(
        "ruling",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("source_id", ID, nullable=False),
        sa.Column("target_id", ID),
        sa.Column("assertions", sa.Text, nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("cube_id", "id", name="pk_ruling"),
    )
    op.create_table(
        "predicate_type",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("name", ID, nullable=False),
        sa.Column("functional", sa.Integer, nullable=False),
        sa.Column("event", sa.Integer, nullable=False),
        sa.Column("inverse", sa.Text),
        sa.Column("subject_types", sa.Text, nullable=False),
        sa.Column("object_types", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", "name", name="pk_predicate_type"),
    )
    op.create_table(
        "entity_type",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("name", ID, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("parent", sa.Text),
        sa.PrimaryKeyConstraint("cube_id", "name", name="pk_entity_type"),
    )
    op.create_table(
        "reading",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("memory_id", ID, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("extractor", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", "memory_id", name="pk_reading"),
    )
    op.create_table(
        "reading_mark",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("extractor", ID, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", "extractor", name="pk_reading_mark"),
    )
    op.create_table(
        "graph_gone",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", "seq", name="pk_graph_gone"),
    )
    op.create_table(
        "note",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("memory_id", ID, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("keywords", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("cause", ID),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expired_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", "memory_id", "revision", name="pk_note"),
    )
    op.create_index("ix_note_cause", "note", ["cube_id", "cause"])
    op.create_table(
        "summary",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", ID, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("entity_ids", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expired_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", "id", name="pk_summary"),
    )
    op.create_index("ix_summary_key", "summary", ["cube_id", "kind", "key", "expired_at"])
    op.create_table(
        "summary_source",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("summary_id", ID, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("memory_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", "summary_id", "ordinal", name="pk_summary_source"),
    )
    op.create_index("ix_summary_source_memory", "summary_source", ["cube_id", "memory_id"])
