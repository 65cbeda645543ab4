"""From settings to a running embedder. It decides between backends; it runs nothing itself."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from memos.embedding.layout import NotExportable, read_layout
from memos.embedding.weights import Weights, resolve
from memos.errors import InvalidSetting, MissingDependency, ModelCorrupt
from memos.types import EmbeddingModel

if TYPE_CHECKING:
    from memos.protocols import Embedder

log = logging.getLogger(__name__)


def load_embedder(
    *,
    model: str,
    cache_dir: Path,
    backend: str = "auto",
    precision: str = "fp32",
    threads: int = 0,
    offline: bool = False,
) -> Embedder:
    """An embedder for a Hub id, a folder or an installed package that carries weights.

    `backend` onnx exports the model once to `cache_dir`; torch runs it by sentence-transformers;
    auto is onnx, or torch for what can't be exported (logged as a warning; the vectors are the
    same). `precision` int8 needs onnx and has a digest of its own. `threads` 0 takes all cores.
    `offline` never asks the Hub.

    ModelNotFound, ModelDigestMismatch, ModelCorrupt; InvalidSetting for settings that don't go
    together; MissingDependency; StorageFull and StorageReadOnly for `cache_dir`.
    """
    _check(backend, precision)
    weights = resolve(model, cache_dir=cache_dir, offline=offline)
    if backend != "torch":
        try:
            return _onnx(weights, precision=precision, cache_dir=cache_dir, threads=threads)
        except NotExportable as error:
            if backend == "onnx" or precision != "fp32":
                raise InvalidSetting(
                    f"{error}; set embedding_backend to auto and embedding_precision to fp32",
                    setting="embedding_backend",
                ) from error
            log.warning("%s; it is run by torch, which is slower to start", error)
    return _torch(weights, threads=threads)


def _check(backend: str, precision: str) -> None:
    if backend not in ("auto", "onnx", "torch"):
        raise InvalidSetting(
            f"embedding_backend is {backend!r}; use auto, onnx or torch",
            setting="embedding_backend",
        )
    if precision not in ("fp32", "int8"):
        raise InvalidSetting(
            f"embedding_precision is {precision!r}; use fp32 or int8", setting="embedding_precision"
        )
    if backend == "torch" and precision != "fp32":
        raise InvalidSetting(
            f"embedding_precision {precision} needs embedding_backend onnx or auto",
            setting="embedding_precision",
        )


def _digest(weights: Weights, precision: str) -> str:
    """One for each precision; the same for both backends, whose fp32 vectors are equal."""
    return hashlib.sha256(f"{weights.digest} {precision}".encode()).hexdigest()


def _onnx(weights: Weights, *, precision: str, cache_dir: Path, threads: int) -> Embedder:
    from memos.embedding.export import discard, exported

    layout = read_layout(weights.folder)
    digest = _digest(weights, precision)
    graph = exported(layout, digest=digest, precision=precision, cache_dir=cache_dir)
    try:
        from memos.embedding.onnx import OnnxEmbedder
    except ImportError as error:
        raise MissingDependency(
            f"the onnx backend needs {error.name}; run `pip install onnxruntime tokenizers`"
        ) from error
    identity = EmbeddingModel(
        id=weights.id, digest=digest, dimensions=layout.dimensions, max_tokens=layout.max_tokens
    )
    try:
        return OnnxEmbedder(graph, layout.tokenizer, identity, threads=threads)
    except ModelCorrupt as error:
        if error.details.get("path") != str(graph):
            raise
        # Its digest was remembered and its time did not change, yet it can't be loaded.
        log.warning("%s; exporting it again", error)
        discard(graph)
    graph = exported(layout, digest=digest, precision=precision, cache_dir=cache_dir)
    return OnnxEmbedder(graph, layout.tokenizer, identity, threads=threads)


def _torch(weights: Weights, *, threads: int) -> Embedder:
    from memos.embedding.torch import TorchEmbedder

    return TorchEmbedder(weights, digest=_digest(weights, "fp32"), threads=threads)
