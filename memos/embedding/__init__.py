"""Texts to unit vectors: finding a model's weights, running it, remembering what it gave.

Nothing heavy is imported until an embedder is loaded.
"""

from memos.embedding.cache import CachedEmbedder
from memos.embedding.lazy import LazyEmbedder
from memos.embedding.loading import load_embedder

__all__ = ["CachedEmbedder", "LazyEmbedder", "load_embedder"]
