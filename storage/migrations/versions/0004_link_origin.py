"""How a link was made: by whom it was asked for, or by which method it was drafted."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for table in ("link", "removed_link"):
        op.add_column(table, sa.Column("origin", sa.Text))
