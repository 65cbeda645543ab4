"""An embedder that is loaded when it is first needed.

So that commands which never embed do not pay for a model. Knows only how to ask for the real one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from memos.protocols import Embedder
from memos.types import EmbeddingModel

if TYPE_CHECKING:
    from memos.protocols import Vector


class LazyEmbedder:
    """Stands in for the embedder that `load` gives. A failed load is tried again at next use."""

    def __init__(self, load: Callable[[], Embedder]) -> None:
        self._load = load
        self._loaded: Embedder | None = None
        self._lock = threading.Lock()

    @property
    def model(self) -> EmbeddingModel:
        return self.loaded.model

    def embed(self, texts: Sequence[str]) -> Vector:
        return self.loaded.embed(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self.loaded.count_tokens(texts)

    @property
    def loaded(self) -> Embedder:
        """The real embedder; the first use in the process loads it."""
        if self._loaded is None:
            with self._lock:
                if self._loaded is None:
                    self._loaded = self._load()
        return self._loaded
