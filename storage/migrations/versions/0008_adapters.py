"""What an adapter is beyond a file of memories: whether it is attached, and how it was made."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("artifact", sa.Column("attached", sa.Integer, nullable=False, server_default="0"))
    op.add_column("artifact", sa.Column("detail", sa.Text))
