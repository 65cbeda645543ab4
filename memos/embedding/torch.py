"""Embeds by sentence-transformers and torch: for models that can't be exported, or when chosen.

Loading takes seconds and hundreds of megabytes. It gives the same vectors as the ONNX export in
fp32, within rounding, which is why both carry the same digest.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from memos.embedding.text import encode
from memos.embedding.weights import Weights
from memos.errors import MissingDependency, ModelCorrupt, ModelError
from memos.types import EmbeddingModel

if TYPE_CHECKING:
    from memos.protocols import Vector

_BATCH = 32


class TorchEmbedder:
    """Any sentence-transformers model, in fp32 on the CPU.

    `threads` 0 leaves torch's own choice; else it is set for the whole process, which is all that
    torch offers. Calls from many threads take turns: the tokenizers inside are not thread-safe.
    """

    def __init__(self, weights: Weights, *, digest: str, threads: int) -> None:
        self._inner = _load(weights, threads)
        self._lock = threading.Lock()
        dimensions = self._inner.get_embedding_dimension()
        longest = self._inner.max_seq_length
        if not dimensions or not longest:
            raise ModelCorrupt(
                f"model {weights.id!r} does not say its dimensions or longest text; give another",
                model=weights.id,
            )
        self._model = EmbeddingModel(
            id=weights.id, digest=digest, dimensions=int(dimensions), max_tokens=int(longest)
        )

    @property
    def model(self) -> EmbeddingModel:
        return self._model

    def embed(self, texts: Sequence[str]) -> Vector:
        """float32 (n, dimensions), rows of length 1. What is beyond max_tokens is cut off.

        InvalidInput for what is not text or has lone surrogates.
        """
        if not len(texts):
            return np.empty((0, self._model.dimensions), dtype=np.float32)
        return np.asarray(encode(self._encode, texts), dtype=np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text without the model's special ones, and without a cut."""
        return encode(self._count, texts) if len(texts) else []

    def _encode(self, texts: list[str]) -> Any:
        try:
            with self._lock:
                return self._inner.encode(
                    texts,
                    batch_size=_BATCH,
                    normalize_embeddings=True,
                    convert_to_numpy=True,
                    show_progress_bar=False,
                )
        except RuntimeError as error:
            raise ModelError(
                f"torch failed on {len(texts)} texts: {error}; if memory is short, send fewer",
                model=self._model.id,
            ) from error

    def _count(self, texts: list[str]) -> list[int]:
        with self._lock:
            ids = self._inner.tokenizer(
                texts, add_special_tokens=False, truncation=False, padding=False, verbose=False
            )["input_ids"]
        return [len(row) for row in ids]


def _load(weights: Weights, threads: int) -> Any:
    try:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging
    except ImportError as error:
        raise MissingDependency(
            f"the torch backend needs {error.name}; run `pip install sentence-transformers`"
        ) from error
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if threads:
        torch.set_num_threads(threads)
    try:
        return SentenceTransformer(str(weights.folder), device="cpu", local_files_only=True)
    except Exception as error:  # whatever the many formats and their readers raise
        raise ModelCorrupt(
            f"can't load model {weights.id!r} from {weights.folder}: {error}; install or download "
            "it again",
            model=weights.id,
            path=str(weights.folder),
        ) from error
