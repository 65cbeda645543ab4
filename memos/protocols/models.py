"""What the core needs from models: an embedder, an extractor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from memos.errors import ExtractionFailed
from memos.types import EmbeddingModel, Extraction, Memory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into unit vectors."""

    @property
    def model(self) -> EmbeddingModel: ...

    def embed(self, texts: Sequence[str]) -> Vector:
        """float32 array (n, dimensions), rows of length 1; no texts give shape (0, dimensions)."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, by the model's own tokenizer, without truncation."""
        ...


class Extractor(Protocol):
    """Finds entities and claims in memories. Deterministic ones say so in their docstring."""

    @property
    def name(self) -> str:
        """Identity with version, such as `rules-1`; what another name extracted is done anew."""
        ...

    def extract(
        self, memories: Sequence[Memory], *, before: Sequence[Memory] = ()
    ) -> list[Extraction | ExtractionFailed]:
        """One entry per memory, in order; `before` are the turns that preceded the first in its
        session, oldest first, for pronouns and answers. What can't be extracted is an
        ExtractionFailed in its place, with the reason; the others are not harmed by it."""
        ...
