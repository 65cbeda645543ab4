"""Notes are drafted on SQLite and on a real PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notes.cabin import Cabin
from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]


@pytest.fixture(params=["sqlite", "postgresql"])
def cabin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cabin]:
    postgres = request.param == "postgresql"
    made = Cabin(tmp_path, url=request.getfixturevalue("postgres_url") if postgres else None)
    yield made
    made.close()
