"""Indexes by which later assertions find what they bear on, however many there are before them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    of = ["cube_id", "subject_id", "predicate"]
    op.create_index("ix_assertion_stated", "assertion", [*of, "stated_at"])
    ahead = sa.text("valid_at > stated_at OR valid_at = -9223372036854775808")
    op.create_index(
        "ix_assertion_ahead", "assertion", of, sqlite_where=ahead, postgresql_where=ahead
    )
    op.create_index("ix_fact_going", "fact", [*of, "expired_at", "invalid_at", "valid_at"])
