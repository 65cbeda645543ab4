"""What Alembic runs. The connection, its transaction and its lock come from `migrate`."""

from alembic import context

from memos.storage.migrations import VERSION_TABLE
from memos.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
