"""Both vector indexes on their real stores, behind one fixture, and vectors like those of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from memos.protocols import VectorIndex
from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

DIMENSIONS = 384


def unit_vectors(count: int, *, seed: int, dimensions: int = DIMENSIONS) -> np.ndarray:
    """float32 (count, dimensions), rows of length 1: clusters in 32 latent dimensions plus noise,
    which is about as hard for HNSW as sentence embeddings are."""
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(32, dimensions)) / np.sqrt(32)
    centres = rng.normal(size=(300, 32))
    rng = np.random.default_rng([1, seed])
    latent = centres[rng.integers(0, len(centres), count)] + 0.7 * rng.normal(size=(count, 32))
    rows = latent @ spread + 0.25 * rng.normal(size=(count, dimensions))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(params=["chroma", "pgvector"])
def open_index(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[], VectorIndex]]:
    """Opens the index, again after each close, on the same store."""
    opened: list[VectorIndex] = []
    if request.param == "chroma":
        from memos.storage.vectors.chroma import ChromaIndex

        def open_() -> VectorIndex:
            opened.append(ChromaIndex(tmp_path / "chroma"))
            return opened[-1]
    else:
        from memos.storage.vectors.pgvector import PgVectorIndex

        url = request.getfixturevalue("postgres_url")

        def open_() -> VectorIndex:
            opened.append(PgVectorIndex(url))
            return opened[-1]

    yield open_
    for index in opened:
        index.close()


@pytest.fixture
def index(open_index: Callable[[], VectorIndex]) -> VectorIndex:
    return open_index()
