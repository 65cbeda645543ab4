"""A cross-encoder run by sentence-transformers: it reads query and text together.

Loaded at its first use, since few services have one. Slow beside vectors (every pair is a pass of
the model), so it is for few texts. R. Nogueira and K. Cho, "Passage Re-ranking with BERT" (2019).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memos.embedding.weights import resolve
from memos.errors import MissingDependency, ModelCorrupt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH = 32


class CrossEncoderReranker:
    """Thread-safe. `model`: a Hub id, a folder or a carrier package, as for embedders."""

    def __init__(self, model: str, *, cache_dir: Path, offline: bool = False) -> None:
        self._name = model
        self._cache_dir = cache_dir
        self._offline = offline
        self._model: Any = None
        self._lock = threading.Lock()

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """How well each text answers the query, higher is better; shape (texts,).

        ModelNotFound, ModelCorrupt, MissingDependency when it is first loaded.
        """
        import numpy as np

        if not texts:
            return np.zeros(0, np.float32)
        with self._lock:
            if self._model is None:
                self._model = self._loaded()
            found = self._model.predict(
                [(query, text) for text in texts], batch_size=_BATCH, show_progress_bar=False
            )
        return np.asarray(found, np.float32)

    def _loaded(self) -> Any:
        try:
            from sentence_transformers import CrossEncoder
        except ModuleNotFoundError as error:
            raise MissingDependency(
                "a reranker needs sentence-transformers; pip install sentence-transformers, or "
                "unset reranker_model"
            ) from error
        weights = resolve(self._name, cache_dir=self._cache_dir, offline=self._offline)
        try:
            model = CrossEncoder(
                str(weights.folder), device="cpu", local_files_only=True, num_labels=1
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise ModelCorrupt(
                f"{self._name!r} in {weights.folder} can't be run as a cross-encoder: {error}",
                model=self._name,
            ) from error
        return model
