"""Events, lanes and accounts of the queue, schedules, and rules of the lifecycle."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
WAITING = sa.text("state IN ('queued', 'failed')")
RUNNING = sa.text("state = 'running'")


def upgrade() -> None:
    op.create_table(
        "event",
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("cube_id", ID),
        sa.Column("kind", ID, nullable=False),
        sa.Column("subjects", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("numbers", sa.Text, nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("undo", sa.Text, nullable=False),
        sa.Column("cause", ID),
        sa.PrimaryKeyConstraint("tenant_id", "seq", name="pk_event"),
    )
    op.create_index("ix_event_id", "event", ["tenant_id", "id"], unique=True)
    op.create_index("ix_event_cube", "event", ["cube_id", "seq"])
    op.create_table(
        "event_subject",
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("subject", ID, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("cube_id", ID),
        sa.PrimaryKeyConstraint("tenant_id", "subject", "seq", name="pk_event_subject"),
    )
    op.create_index("ix_event_subject_cube", "event_subject", ["cube_id"])
    op.create_table(
        "event_mark",
        sa.Column("tenant_id", ID, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    _queue()
    op.create_table(
        "schedule",
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("name", ID, nullable=False),
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("cron", sa.Text, nullable=False),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger),
        sa.Column("last_job", ID),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text),
        sa.PrimaryKeyConstraint("cube_id", "name", name="pk_schedule"),
    )
    op.create_index("ix_schedule_next", "schedule", ["next_at"])
    op.create_table(
        "lifecycle_rule",
        sa.Column("cube_id", ID, nullable=False),
        sa.Column("kind", ID, nullable=False),
        sa.Column("archive_after", sa.BigInteger),
        sa.Column("expire_after", sa.BigInteger),
        sa.Column("erase_after", sa.BigInteger),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text),
        sa.PrimaryKeyConstraint("cube_id", "kind", name="pk_lifecycle_rule"),
    )
    op.create_index(
        "ix_memory_expires",
        "memory",
        ["expires_at"],
        sqlite_where=sa.text("expires_at IS NOT NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )


def _queue() -> None:
    op.add_column("job", sa.Column("version", sa.Integer, nullable=False, server_default="1"))
    op.add_column("job", sa.Column("level", sa.Integer, nullable=False, server_default="0"))
    for name in ("spent", "charged"):
        op.add_column("job", sa.Column(name, sa.Float(53), nullable=False, server_default="0"))
    op.add_column("job", sa.Column("lane", ID, nullable=False, server_default=""))
    mark = "char(31)" if op.get_bind().dialect.name == "sqlite" else "chr(31)"
    op.execute(
        f"UPDATE job SET lane = tenant_id || {mark} || kind || {mark} || '1' || {mark} || '0'"
        " WHERE state IN ('queued', 'running', 'failed')"
    )
    op.drop_index("ix_job_due", "job")
    op.create_index(
        "ix_job_lane",
        "job",
        ["lane", "run_at", "id"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
    op.create_index(
        "ix_job_lease", "job", ["lease_until"], sqlite_where=RUNNING, postgresql_where=RUNNING
    )
    op.create_index("ix_job_cube", "job", ["cube_id", "state"])
    op.create_table(
        "account",
        sa.Column("tenant_id", ID, primary_key=True),
        sa.Column("spent", sa.Float(53), nullable=False),
    )
    op.create_table(
        "job_kind",
        sa.Column("kind", ID, primary_key=True),
        sa.Column("seconds", sa.Float(53), nullable=False),
        sa.Column("runs", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("deaths", sa.BigInteger, nullable=False),
        sa.Column("run_seconds", sa.Float(53), nullable=False),
        sa.Column("wait_seconds", sa.Float(53), nullable=False),
    )
