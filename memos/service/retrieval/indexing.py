"""From a memory to its indexed form: analysed terms and a vector, with reuse of stored vectors.

Knows the embedder and the analyser; stores nothing itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from memos.errors import EmbeddingModelChanged
from memos.protocols import ChangeFeed, CubeStore, Embedder, Indexed
from memos.retrieval.reading.analysis import ANALYZER, indexed, text_of
from memos.types import Cube, EmbeddingModel, Memory

if TYPE_CHECKING:
    from memos.protocols import Vector

_CHUNK_CHARS = 900
"""About 220 word pieces of English, so that a chunk fits the default model's 256."""


class Indexer:
    """Makes the indexed form of memories, batched."""

    def __init__(self, cubes: CubeStore, feed: ChangeFeed, embedder: Embedder) -> None:
        self._cubes = cubes
        self._feed = feed
        self._embedder = embedder

    @property
    def analyzer(self) -> str:
        return ANALYZER

    @property
    def model(self) -> str:
        """The digest that vectors made here carry."""
        return self._embedder.model.digest

    @property
    def present_model(self) -> EmbeddingModel:
        return self._embedder.model

    def check_model(self, cube: Cube) -> None:
        """EmbeddingModelChanged if the cube's vectors come from another model; a cube without
        vectors takes the present one."""
        present = self._embedder.model
        if cube.embedding is None:
            self._cubes.set_embedding(cube.id, present)
        elif cube.embedding.digest != present.digest:
            raise EmbeddingModelChanged(
                f"cube {cube.name!r} holds vectors of {cube.embedding.id} "
                f"({cube.embedding.digest[:12]}), the service runs {present.id} "
                f"({present.digest[:12]}). Run `memos reindex --embed {cube.name}`, or configure "
                "the former model",
                cube=cube.name,
                stored=cube.embedding.digest,
                present=present.digest,
            )

    def terms_only(self, memories: Sequence[Memory]) -> list[Indexed]:
        """Searchable by words at once; the vector is left to a job."""
        return [Indexed(indexed(memory), ANALYZER, None, None) for memory in memories]

    def full(self, cube_id: str, memories: Sequence[Memory]) -> list[Indexed]:
        """Terms and vectors. A text that the cube has embedded before is not embedded again."""
        texts = [text_of(memory) for memory in memories]
        hashes = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        vectors = dict(self._feed.vectors(cube_id, hashes, self.model))
        missing = {h: t for h, t in zip(hashes, texts, strict=True) if h not in vectors}
        if missing:
            vectors.update(zip(missing, self._embed(list(missing.values())), strict=True))
        return [
            Indexed(indexed(memory), ANALYZER, vectors[digest], self.model, digest)
            for memory, digest in zip(memories, hashes, strict=True)
        ]

    def _embed(self, texts: Sequence[str]) -> Vector:
        """One vector per text, shape (n, dimensions); a text longer than the model reads is the
        mean of its parts' vectors, so that its end can be found too."""
        import numpy as np

        parts = [_chunks(text) for text in texts]
        flat = [chunk for chunks in parts for chunk in chunks]
        made = self._embedder.embed(flat)
        if len(flat) == len(texts):
            return made
        starts = np.cumsum([0] + [len(chunks) for chunks in parts[:-1]])
        sums = np.add.reduceat(made, starts, axis=0)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        return np.asarray(sums / np.maximum(norms, 1e-12), dtype=np.float32)


def _chunks(text: str) -> list[str]:
    """Parts of about equal length, cut at white space where there is some."""
    if len(text) <= _CHUNK_CHARS:
        return [text]
    chunks: list[str] = []
    start = 0
    while len(text) - start > _CHUNK_CHARS:
        space = text.rfind(" ", start + _CHUNK_CHARS // 2, start + _CHUNK_CHARS)
        end = space if space > 0 else start + _CHUNK_CHARS
        chunks.append(text[start:end])
        start = end
    chunks.append(text[start:])
    return chunks
