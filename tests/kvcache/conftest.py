from collections.abc import Iterator
from pathlib import Path

import pytest

from memos.kvcache.store.store import BlockStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kv"


@pytest.fixture
def store(folder: Path) -> Iterator[BlockStore]:
    with BlockStore(folder, budget_bytes=1 << 30) as opened:
        yield opened
