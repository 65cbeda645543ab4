"""Automatic actions with what they did, where memories come from, how they are used, policies."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "action",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("about", ID, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("numbers", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("actor", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("undone_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("cube_id", "id", name="pk_action"),
    )
    op.create_table(
        "action_step",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("action_id", ID, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("memory_id", ID, nullable=False),
        sa.Column("before", sa.Integer, nullable=False),
        sa.Column("after", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", "action_id", "ordinal", name="pk_action_step"),
    )
    op.create_index("ix_action_step_memory", "action_step", ["cube_id", "memory_id"])
    op.create_table(
        "lineage",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("derived_id", ID, nullable=False),
        sa.Column("source_id", ID, nullable=False),
        sa.Column("source_version", sa.Integer, nullable=False),
        sa.Column("relation", sa.Text, nullable=False),
        sa.Column("action_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", "derived_id", "source_id", name="pk_lineage"),
    )
    op.create_index("ix_lineage_source", "lineage", ["cube_id", "source_id"])
    op.create_table(
        "memory_use",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("memory_id", ID, nullable=False),
        sa.Column("uses", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("pinned", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", "memory_id", name="pk_memory_use"),
    )
    op.create_table(
        "policy",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", name="pk_policy"),
    )
