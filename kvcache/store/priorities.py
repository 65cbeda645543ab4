"""Which block to evict: greedy-dual-size-frequency (Cherkasova 1998, HP Labs HPL-98-69R1).

    priority = clock at its last use + uses · FLOPs a load saves ÷ bytes

and the clock is the priority of what was evicted last, so that what is no longer used grows old.
Uses are those of this process since it started. Pure bookkeeping, under the caller's lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from memos.kvcache.blocks.block import BlockId


@dataclass(slots=True)
class _Entry:
    value: float
    uses: int
    priority: float


class Priorities:
    def __init__(self) -> None:
        self._entries: dict[BlockId, _Entry] = {}
        self._clock = 0.0

    def add(self, block: BlockId, *, flops: float, size: int) -> None:
        """A block that has just been stored counts as used once."""
        value = flops / max(size, 1)
        self._entries[block] = _Entry(value, 1, self._clock + value)

    def use(self, block: BlockId) -> None:
        entry = self._entries.get(block)
        if entry:
            entry.uses += 1
            entry.priority = self._clock + entry.uses * entry.value

    def of(self, block: BlockId) -> float:
        return self._entries[block].priority

    def remove(self, block: BlockId) -> None:
        self._entries.pop(block, None)

    def least(self, blocks: Iterable[BlockId]) -> BlockId | None:
        """The one to evict among `blocks`; None if there is none."""
        known = [block for block in blocks if block in self._entries]
        return min(known, key=lambda block: (self._entries[block].priority, block), default=None)

    def evicted(self, block: BlockId) -> None:
        entry = self._entries.pop(block, None)
        if entry:
            self._clock = max(self._clock, entry.priority)
