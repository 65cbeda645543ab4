"""The first mentions of an entity are found in order, without a look at those of all others."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.drop_index("ix_mention_entity", table_name="mention")
    op.create_index("ix_mention_entity", "mention", ["cube_id", "entity_id", "memory_id"])
