"""Links that were removed, for reads of what was known then."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "removed_link",
        sa.Column("id", ID, primary_key=True),
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("source_id", ID, nullable=False),
        sa.Column("target_id", ID, nullable=False),
        sa.Column("relation", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("removed_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_removed_link_source", "removed_link", ["cube_id", "source_id"])
    op.create_index("ix_removed_link_target", "removed_link", ["cube_id", "target_id"])
