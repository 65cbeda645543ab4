"""A whole service on a real database: SQLite and, for what depends on it, PostgreSQL."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from memos.assembly import build
from memos.config import load
from memos.service import MemoryOS, Service
from memos.testing import HashEmbedder
from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]


class Clock:
    """A clock that tests turn by hand."""

    def __init__(self) -> None:
        self.now = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Service]:
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    made = build(
        load(
            database_url=url,
            vector_index_min=10,
            max_batch=50,
            max_content_chars=5000,
            # What follows the reading of facts is tested apart; see `reader`.
            extraction="none",
        ),
        embedder=HashEmbedder(),
        clock=clock,
    )
    yield made
    made.close()


@pytest.fixture
def memos(service: Service) -> MemoryOS:
    return service.tenant("default", actor="tester")
