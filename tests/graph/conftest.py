"""A whole service on SQLite that reads no texts: facts come from the tests."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from memos.assembly import build
from memos.config import load
from memos.service import MemoryOS, Service
from memos.testing import HashEmbedder


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(tmp_path, clock) -> Iterator[Service]:
    settings = load({}, data_dir=tmp_path, extraction="none", vector_index="none")
    made = build(settings, embedder=HashEmbedder(), clock=clock)
    yield made
    made.close()


@pytest.fixture
def memos(service: Service) -> MemoryOS:
    return service.tenant("default", actor="tester")
