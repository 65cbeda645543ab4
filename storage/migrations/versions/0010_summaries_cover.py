"""Which turns a summary covers, so that it is not made twice, and whether somebody undid it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("summary", sa.Column("covers", sa.Text))
    op.add_column("summary", sa.Column("undone", sa.Integer, nullable=False, server_default="0"))
