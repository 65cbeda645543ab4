"""Where memories come from, how they are used, and the policies of cubes."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "lineage",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("derived_id", ID, nullable=False),
        sa.Column("source_id", ID, nullable=False),
        sa.Column("source_version", sa.Integer, nullable=False),
        sa.Column("relation", sa.Text, nullable=False),
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
