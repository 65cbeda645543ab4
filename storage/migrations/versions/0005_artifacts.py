"""Files made of memories, what they were made of, and the salt that keeps tenants apart."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("tenant", sa.Column("salt", sa.LargeBinary))
    op.create_table(
        "artifact",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("substrate", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("own_text", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("root", sa.Text),
        sa.Column("file", sa.Text),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("codec", sa.Text, nullable=False),
        sa.Column("policy", sa.Text),
        sa.Column("pinned", sa.Integer, nullable=False),
        sa.Column("hits", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("job_id", sa.Text),
        sa.PrimaryKeyConstraint("cube_id", "id", name="pk_artifact"),
    )
    op.create_index("ix_artifact_substrate", "artifact", ["cube_id", "substrate", "id"])
    op.create_table(
        "artifact_source",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("artifact_id", ID, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("memory_id", ID, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", "artifact_id", "ordinal", name="pk_artifact_source"),
    )
    op.create_index("ix_artifact_source_memory", "artifact_source", ["cube_id", "memory_id"])
