"""Every contract suite runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memos.graph.deriving.validity import Rules
from memos.protocols import Stores
from memos.scheduler import Policy
from memos.storage import open_stores
from memos.types import Cube
from tests.postgres import empty_postgres_url, postgres_server, postgres_url
from tests.sqlite import migrated_really
from tests.storage import samples
from tests.storage.samples import Clock

__all__ = ["empty_postgres_url", "migrated_really", "postgres_server", "postgres_url"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'memos.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(name))


@pytest.fixture
def stores(url: str, clock: Clock) -> Iterator[Stores]:
    opened = open_stores(
        url, new_id=samples.new_id, clock=clock, derivation=Rules(), policy=Policy(batch=3600.0)
    )
    yield opened
    opened.health.close()


@pytest.fixture
def cube(stores: Stores, clock: Clock) -> Cube:
    return stores.cubes.create(samples.cube(clock))
