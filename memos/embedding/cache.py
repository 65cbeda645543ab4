"""Vectors of texts seen before, by the hash of the text.

In memory, bounded by bytes, least recently used go first. Vectors that outlive the process are in
SQL with the memories; a `lookup` may be given that finds them.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.types import EmbeddingModel

if TYPE_CHECKING:
    from memos.protocols import Embedder, Vector

# From SHA-256 (hex) of texts to those of their vectors, by the embedder's model, that are stored.
Lookup = Callable[[Sequence[str]], "Mapping[str, Vector]"]
# What an entry takes beside its numbers: key, array header, links of the dictionary.
_ENTRY_BYTES = 320


@dataclass(frozen=True)
class CacheStats:
    """Texts answered from memory, from `lookup`, and by the embedder, since the start."""

    hits: int
    found: int
    misses: int
    entries: int
    bytes: int


def text_key(text: str) -> str:
    """Hex SHA-256 of the text in UTF-8; lone surrogates are kept apart from all proper texts."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


class CachedEmbedder:
    """An embedder that embeds each text once while it is remembered. Safe in many threads.

    `max_bytes` bounds the vectors held. Two threads that miss the same text at once both embed it:
    waiting for each other would cost more than it saves. What `lookup` raises goes to the caller.
    """

    def __init__(
        self, embedder: Embedder, *, max_bytes: int = 64 << 20, lookup: Lookup | None = None
    ) -> None:
        self._embedder = embedder
        self._lookup = lookup
        self._entries: OrderedDict[str, Vector] = OrderedDict()
        self._max_bytes = max_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._hits = self._found = self._misses = 0

    @property
    def model(self) -> EmbeddingModel:
        return self._embedder.model

    @property
    def stats(self) -> CacheStats:
        with self._lock:
            count = len(self._entries)
            return CacheStats(self._hits, self._found, self._misses, count, self._bytes)

    def embed(self, texts: Sequence[str]) -> Vector:
        """As the embedder's; equal texts of one call are embedded once."""
        import numpy as np

        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            return self._embedder.embed(texts)  # whose error says what is wrong
        keys = [text_key(text) for text in texts]
        known = self._remembered(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            known |= self._made(missing)
        result = np.empty((len(texts), self.model.dimensions), dtype=np.float32)
        for row, key in enumerate(keys):
            result[row] = known[key]
        return result

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._embedder.count_tokens(texts)

    def clear(self) -> None:
        """Forgets all vectors held in memory."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def forget(self, texts: Sequence[str]) -> None:
        """Forgets the vectors of these texts: an erased memory leaves none behind."""
        with self._lock:
            for text in texts:
                self._drop(text_key(text))

    def _remembered(self, keys: Sequence[str]) -> dict[str, Vector]:
        known: dict[str, Vector] = {}
        with self._lock:
            for key in keys:
                vector = self._entries.get(key)
                if vector is not None:
                    self._entries.move_to_end(key)
                    self._hits += 1
                    known[key] = vector
        return known

    def _made(self, missing: Mapping[str, str]) -> dict[str, Vector]:
        """Vectors of the texts by key, from `lookup` or the embedder; they are remembered."""
        made = dict(self._lookup(list(missing))) if self._lookup else {}
        found = len(made)
        rest = [key for key in missing if key not in made]
        if rest:
            vectors = self._embedder.embed([missing[key] for key in rest])
            made |= zip(rest, vectors, strict=True)
        with self._lock:
            self._found += found
            self._misses += len(rest)
            for key, vector in made.items():
                self._drop(key)
                # A row is a view that would keep the whole batch alive.
                self._entries[key] = vector.copy()
                self._bytes += vector.nbytes + _ENTRY_BYTES
            while self._bytes > self._max_bytes:
                self._drop(next(iter(self._entries)))
        return made

    def _drop(self, key: str) -> None:
        vector = self._entries.pop(key, None)
        if vector is not None:
            self._bytes -= vector.nbytes + _ENTRY_BYTES
