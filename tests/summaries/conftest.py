from collections.abc import Iterator
from pathlib import Path

import pytest

from memos.summaries.communities import CommunitySummaries
from memos.summaries.sessions import SessionSummaries
from tests.notes.cabin import Cabin


@pytest.fixture
def cabin(tmp_path: Path) -> Iterator[Cabin]:
    made = Cabin(tmp_path)
    yield made
    made.close()


@pytest.fixture
def sessions(cabin: Cabin) -> SessionSummaries:
    return SessionSummaries(
        cabin.stores, cabin.projections, clock=lambda: cabin.now, new_id=cabin.new_id
    )


@pytest.fixture
def communities(cabin: Cabin) -> CommunitySummaries:
    return CommunitySummaries(
        cabin.stores, cabin.projections, clock=lambda: cabin.now, new_id=cabin.new_id
    )
