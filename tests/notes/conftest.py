from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notes.cabin import Cabin


@pytest.fixture
def cabin(tmp_path: Path) -> Iterator[Cabin]:
    made = Cabin(tmp_path)
    yield made
    made.close()
