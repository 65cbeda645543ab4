"""Deterministic stand-ins for what needs a model. Public, for tests of code that uses memos.

They do real work on their input, so that a test built on them can fail. They say nothing about the
quality of a real model.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from memos.extraction.llm.recorded import RecordedModel
from memos.types import EmbeddingModel

if TYPE_CHECKING:
    from memos.protocols import Vector

__all__ = ["HashEmbedder", "RecordedModel"]

_WORD = re.compile(r"\w+")


class HashEmbedder:
    """Hashes each stemmed word of a text to a dimension; no model, and the same everywhere.

    Texts that share words are near each other, others are nearly orthogonal. A text without words
    gives the unit vector of its own hash. `name` makes embedders with different digests.
    """

    def __init__(self, *, dimensions: int = 64, max_tokens: int = 256, name: str = "hash") -> None:
        import Stemmer

        digest = hashlib.sha256(f"{name} {dimensions} {max_tokens}".encode()).hexdigest()
        self._model = EmbeddingModel(
            id=name, digest=digest, dimensions=dimensions, max_tokens=max_tokens
        )
        self._stemmers: Any = Stemmer

    @property
    def model(self) -> EmbeddingModel:
        return self._model

    def embed(self, texts: Sequence[str]) -> Vector:
        """float32 (n, dimensions), rows of length 1. Words beyond max_tokens are cut off."""
        stemmer = self._stemmers.Stemmer("english")  # one stemmer is not safe in many threads
        rows = np.zeros((len(texts), self._model.dimensions), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            words = _WORD.findall(text.lower())[: self._model.max_tokens]
            for word in stemmer.stemWords(words) or [text]:
                row[self._place(word)] += 1.0
            row /= np.linalg.norm(row)
        return rows

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Words of each text."""
        return [len(_WORD.findall(text)) for text in texts]

    def _place(self, word: str) -> int:
        digest = hashlib.sha256(word.encode(errors="surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") % self._model.dimensions
