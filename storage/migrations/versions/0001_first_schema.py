"""The first schema: tenants, keys, cubes, memories with history, links, jobs, audit, receipts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
WAITING = sa.text("dedupe_key IS NOT NULL AND state IN ('queued', 'failed')")


def upgrade() -> None:
    op.create_table(
        "tenant",
        sa.Column("id", ID, primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "api_key",
        sa.Column("id", ID, primary_key=True),
        sa.Column("tenant_id", ID, sa.ForeignKey("tenant.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("cubes", sa.Text, nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.UniqueConstraint("secret_sha256", name="uq_api_key_secret"),
    )
    op.create_index("ix_api_key_tenant", "api_key", ["tenant_id", "id"])
    op.create_table(
        "cube",
        sa.Column("id", ID, primary_key=True),
        sa.Column("tenant_id", ID, sa.ForeignKey("tenant.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("change_seq", sa.BigInteger, nullable=False),
        sa.Column("model_id", sa.Text),
        sa.Column("model_digest", sa.Text),
        sa.Column("model_dimensions", sa.Integer),
        sa.Column("model_max_tokens", sa.Integer),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("tenant_id", "name", name="uq_cube_name"),
    )
    op.create_index("ix_cube_tenant", "cube", ["tenant_id", "id"])
    op.create_table(
        "memory",
        sa.Column("cube_id", ID, sa.ForeignKey("cube.id"), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text),
        sa.Column("agent_id", sa.Text),
        sa.Column("session_id", sa.Text),
        sa.Column("speaker", sa.Text),
        sa.Column("place", sa.Text),
        sa.Column("occurred_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("priority", sa.Float(53), nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("images", sa.Text, nullable=False),
        sa.Column("provenance", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("cube_id", "id", name="pk_memory"),
    )
    op.create_index("ix_memory_seq", "memory", ["cube_id", "seq"], unique=True)
    op.create_index("ix_memory_position", "memory", ["cube_id", "position"], unique=True)
    op.create_index("ix_memory_session", "memory", ["cube_id", "session_id", "position"])
    op.create_table(
        "memory_version",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("memory_id", ID, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("snapshot", sa.Text),
        sa.PrimaryKeyConstraint("cube_id", "memory_id", "version", name="pk_memory_version"),
    )
    op.create_table(
        "indexed",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("memory_id", ID, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("analyzer", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("text_sha256", sa.LargeBinary),
        sa.Column("terms", sa.Text),
        sa.Column("vector", sa.LargeBinary),
        sa.PrimaryKeyConstraint("cube_id", "memory_id", name="pk_indexed"),
    )
    op.create_index("ix_indexed_text", "indexed", ["cube_id", "text_sha256"])
    op.create_table(
        "link",
        sa.Column("id", ID, primary_key=True),
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("source_id", ID, nullable=False),
        sa.Column("target_id", ID, nullable=False),
        sa.Column("relation", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("cube_id", "source_id", "target_id", "relation", name="uq_link_ends"),
        sa.ForeignKeyConstraint(
            ["cube_id", "source_id"], ["memory.cube_id", "memory.id"], name="fk_link_source"
        ),
        sa.ForeignKeyConstraint(
            ["cube_id", "target_id"], ["memory.cube_id", "memory.id"], name="fk_link_target"
        ),
    )
    op.create_index("ix_link_target", "link", ["cube_id", "target_id"])
    op.create_table(
        "job",
        sa.Column("id", ID, primary_key=True),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("cube_id", ID),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("dedupe_key", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("progress", sa.Float(53), nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("worker", sa.Text),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("run_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
    )
    op.create_index("ix_job_due", "job", ["state", "run_at"])
    op.create_index("ix_job_tenant", "job", ["tenant_id", "id"])
    op.create_index("ix_job_worker", "job", ["worker"])
    op.create_index(
        "uq_job_dedupe",
        "job",
        ["tenant_id", "dedupe_key"],
        unique=True,
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
    op.create_table(
        "audit",
        sa.Column("id", ID, primary_key=True),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("ix_audit_tenant", "audit", ["tenant_id", "at"])
    op.create_table(
        "receipt",
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("request_hash", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "key", name="pk_receipt"),
    )
    op.create_index("ix_receipt_created", "receipt", ["created_at"])
