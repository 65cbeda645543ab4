"""A data folder whose default model is exported already: once for all processes of a test run."""

from pathlib import Path

import pytest

from memos.embedding import load_embedder
from memos.embedding.weights import DEFAULT_MODEL


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.getbasetemp()
    if root.name.startswith("popen-"):  # below it each xdist worker has a folder of its own
        root = root.parent
    folder = root / "embedding-cache"
    folder.mkdir(exist_ok=True)
    load_embedder(model=DEFAULT_MODEL, cache_dir=folder, threads=1, offline=True)
    return folder


@pytest.fixture
def warm_data_dir(data_dir: Path, exported: Path) -> Path:
    """The folder of the default settings in this test, with the exported model in it."""
    data_dir.mkdir()
    (data_dir / "models").symlink_to(exported)
    return data_dir
