"""Embeds by onnxruntime and `tokenizers`, from an exported graph; loads neither torch nor
transformers.

It does not know where the graph comes from, nor does it remember vectors.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memos.embedding.export import INPUTS, OUTPUT
from memos.embedding.text import encode
from memos.errors import ModelCorrupt, ModelError
from memos.types import EmbeddingModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from memos.protocols import Vector

# Tokens, padding included, of one run of the graph. Larger batches leave the cores' caches (at
# 1,536 a fifth to a third is lost, measured), much smaller ones pay for calls.
BATCH_TOKENS = 256
# Texts tokenized at a time: enough to sort by length, few enough to hold.
SLICE = 2048


class OnnxEmbedder:
    """Unit vectors from an ONNX graph made by `memos.embedding.export`.

    `threads` 0 takes all cores. Safe to call from many threads. Texts are cut into batches of
    like length, small enough for the caches; the graph spreads each over the threads. (A batch per
    thread was measured 2 % faster, and doubles the time of a single query.)
    """

    def __init__(
        self, graph: Path, tokenizer: Path, model: EmbeddingModel, *, threads: int
    ) -> None:
        self._model = model
        self._tokenizer = _tokenizer(tokenizer)
        self._tokenizer.enable_truncation(model.max_tokens)
        self._counting = _Counting(tokenizer)
        self._session = _session(graph, threads=threads or _cores())

    @property
    def model(self) -> EmbeddingModel:
        return self._model

    def embed(self, texts: Sequence[str]) -> Vector:
        """float32 (n, dimensions), rows of length 1. What is beyond max_tokens is cut off.

        InvalidInput for what is not text or has lone surrogates.
        """
        result = np.empty((len(texts), self._model.dimensions), dtype=np.float32)
        for start in range(0, len(texts), SLICE):
            part = texts[start : start + SLICE]
            self._embed_into(result[start : start + len(part)], part)
        return result

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text without the model's special ones, and without a cut."""
        return self._counting(texts)

    def _embed_into(self, rows: Vector, texts: Sequence[str]) -> None:
        ids = [encoding.ids for encoding in encode(self._tokenizer.encode_batch_fast, texts)]
        for batch in _batches([len(row) for row in ids]):
            rows[batch] = self._run([ids[i] for i in batch])

    def _run(self, ids: Sequence[Sequence[int]]) -> Vector:
        """Token ids of like length → float32 (len(ids), dimensions)"""
        shape = (len(ids), max(map(len, ids)))
        tokens, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for row, values in enumerate(ids):
            tokens[row, : len(values)] = values
            mask[row, : len(values)] = 1
        try:
            output = self._session.run([OUTPUT], dict(zip(INPUTS, (tokens, mask), strict=True)))[0]
        except Exception as error:  # onnxruntime's errors have no common base but this
            raise ModelError(
                f"onnxruntime failed on a batch of {shape[0]} × {shape[1]} tokens: {error}; if "
                "memory is short, lower embedding_threads",
                model=self._model.id,
            ) from error
        vectors: Vector = output
        return vectors


class _Counting:
    """Counts tokens with a tokenizer of its own that does not truncate, made when first asked:
    changing one back and forth would race with `embed`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tokenizer: Any = None
        self._lock = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> list[int]:
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = _tokenizer(self._path)

        def plain(part: list[str]) -> list[Any]:
            encodings: list[Any] = self._tokenizer.encode_batch_fast(part, add_special_tokens=False)
            return encodings

        return [len(encoding) for encoding in encode(plain, texts)]


def _batches(lengths: Sequence[int]) -> Iterator[NDArray[np.intp]]:
    """Indices of texts of like length, longest first."""
    order = np.argsort(-np.asarray(lengths), kind="stable")
    start = 0
    while start < len(order):
        rows = max(1, BATCH_TOKENS // max(1, lengths[order[start]]))
        yield order[start : start + rows]
        start += rows


def _cores() -> int:
    """Cores that this process may use; macOS does not tell, and has them all."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain Exception
        raise ModelCorrupt(
            f"can't read the tokenizer {path}: {error}; install or download the model again",
            path=str(path),
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _session(graph: Path, *, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A waiting thread spins this long before it sleeps. Measured on two cores, per query:
    # as fast as spinning on (3.4 ms; 4.6 without any), and on a busy machine as frugal as sleeping
    # at once (6 ms of CPU; 11 with spinning on, which then also takes twice the time).
    options.add_session_config_entry("session.intra_op.spin_duration_us", "10")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base but this
        raise ModelCorrupt(
            f"can't load the exported model {graph}: {error}; delete its folder and start again",
            path=str(graph),
        ) from error
