"""How many tokens a memory's text has, counted once per version while it is remembered.

Knows the embedder's tokenizer; nothing of budgets.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from memos.protocols import Embedder
from memos.retrieval.reading.analysis import text_of
from memos.types import Memory

REMEMBERED = 50_000
"""Counts held, least recently used out first; about 10 MB."""


class TokenCounts:
    """Thread-safe: two threads that miss the same text both count it."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._counts: OrderedDict[tuple[str, str, int], int] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, memories: Sequence[Memory]) -> list[int]:
        """Tokens of each memory's text with its images' captions."""
        keys = [(memory.cube_id, memory.id, memory.version) for memory in memories]
        with self._lock:
            known = {key: self._counts[key] for key in keys if key in self._counts}
        missing = {k: m for k, m in zip(keys, memories, strict=True) if k not in known}
        if missing:
            made = self._embedder.count_tokens([text_of(memory) for memory in missing.values()])
            known.update(zip(missing, made, strict=True))
        with self._lock:
            for key in keys:
                self._counts[key] = known[key]
                self._counts.move_to_end(key)
            while len(self._counts) > REMEMBERED:
                self._counts.popitem(last=False)
        return [known[key] for key in keys]
