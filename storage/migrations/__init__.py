"""Brings a database to the schema of this version.

Migrations are numbered, packaged, and never edited once released. `HEAD` names the newest, so that
opening a current database does not load Alembic (a test holds the two together).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from memos.errors import SchemaMismatch

if TYPE_CHECKING:
    from alembic.config import Config

    from memos.storage.engine import Database

HEAD = "0011"
VERSION_TABLE = "memos_schema"

# Any number, the same in every process: PostgreSQL's advisory locks are named by numbers.
_LOCK = 0x6D656D6F73


def migrate(database: Database) -> None:
    """Runs what is missing, in one transaction; processes that start together wait for the first.

    SchemaMismatch if the database is of a version that this one does not know.
    """
    with database.read() as connection:
        if revision(connection) == HEAD:
            return
    with database.write() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        _upgrade(connection, database.place)


def revision(connection: Connection) -> str | None:
    """The version of the schema, None for a database without one."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(
        text(f"SELECT version_num FROM {VERSION_TABLE}")
    ).scalar()
    return found


def config(connection: Connection) -> Config:
    """Alembic's settings for a database that is connected already."""
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    settings.attributes["connection"] = connection
    return settings


def _upgrade(connection: Connection, place: str) -> None:
    present = revision(connection)
    if present == HEAD:
        return
    from alembic import command
    from alembic.script import ScriptDirectory

    from memos.storage.tables import metadata

    settings = config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(settings).walk_revisions()}
    if present is not None and present not in known:
        raise SchemaMismatch(
            f"{place} has schema version {present!r}, which this version of memos does not know"
            f" (it goes up to {HEAD}); upgrade memos, or use another database",
            found=present,
            newest=HEAD,
        )
    if present is None:
        foreign = sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))
        if foreign:
            raise SchemaMismatch(
                f"{place} has tables of the same names but not from memos: {', '.join(foreign)};"
                " use another database or schema",
                tables=foreign,
            )
    command.upgrade(settings, "head")
