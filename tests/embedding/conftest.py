"""The real default model, exported once for all tests of this folder, in all worker processes."""

import tempfile
from pathlib import Path

import pytest

from memos.embedding import load_embedder
from memos.embedding.weights import DEFAULT_MODEL, resolve
from memos.protocols import Embedder


@pytest.fixture(scope="session")
def warm_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that the processes of one test run share; the export is made for many."""
    root = tmp_path_factory.getbasetemp()
    if root.name.startswith("popen-"):  # below it each xdist worker has a folder of its own
        root = root.parent
    folder = root / "embedding-cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def onnx(warm_cache: Path) -> Embedder:
    return load_embedder(
        model=DEFAULT_MODEL, backend="onnx", cache_dir=warm_cache, threads=1, offline=True
    )


@pytest.fixture(scope="session")
def torch_embedder(warm_cache: Path) -> Embedder:
    return load_embedder(
        model=DEFAULT_MODEL, backend="torch", cache_dir=warm_cache, threads=1, offline=True
    )


@pytest.fixture(scope="session")
def model_folder() -> Path:
    with tempfile.TemporaryDirectory() as cache:
        return resolve(DEFAULT_MODEL, cache_dir=Path(cache), offline=True).folder
