"""What a tier holds within its byte budget, the least valuable going first. No bytes itself."""

from __future__ import annotations

from threading import Lock
from typing import Generic, TypeVar

from memos.kvcache.blocks.block import BlockId, Header
from memos.kvcache.store.priorities import Priorities
from memos.kvcache.tiers.budget import Budget

T = TypeVar("T")


class Shelf(Generic[T]):
    """Thread-safe. Sizes are in bytes; what is taken off is left to its last user."""

    def __init__(self, *, budget_bytes: int | Budget) -> None:
        whole = budget_bytes if isinstance(budget_bytes, Budget) else Budget(budget_bytes)
        self._budget = whole
        whole.on_less(self._fit)
        self._held: dict[BlockId, tuple[T, int]] = {}
        self._bytes = 0
        self._priorities = Priorities()
        self._lock = Lock()

    @property
    def bytes(self) -> int:
        return self._bytes

    @property
    def budget_bytes(self) -> int:
        """As much of it as there is now."""
        return self._budget.left

    def __contains__(self, block: BlockId) -> bool:
        return block in self._held

    def __len__(self) -> int:
        return len(self._held)

    def get(self, block: BlockId) -> T | None:
        """Counts as a use."""
        with self._lock:
            self._priorities.use(block)
            held = self._held.get(block)
            return held[0] if held else None

    def add(self, header: Header, content: T, size: int) -> bool:
        """False if it is larger than the budget, or all that would have to go is worth more."""
        block = header.id
        with self._lock:
            if block in self._held:
                return True
            if size > self.budget_bytes:
                return False
            self._priorities.add(block, flops=header.flops, size=size)
            victims = self._victims(self._bytes + size - self.budget_bytes)
            if any(self._priorities.of(victim) > self._priorities.of(block) for victim in victims):
                self._priorities.evicted(block)  # the clock goes on: it may have its turn later
                return False
            for victim in victims:
                self._bytes -= self._held.pop(victim)[1]
                self._priorities.evicted(victim)
            self._held[block] = (content, size)
            self._bytes += size
            return True

    def _fit(self) -> None:
        with self._lock:
            for victim in self._victims(self._bytes - self.budget_bytes):
                self._bytes -= self._held.pop(victim)[1]
                self._priorities.evicted(victim)

    def _victims(self, surplus: int) -> list[BlockId]:
        """The least valuable that free at least `surplus` bytes together."""
        found: list[BlockId] = []
        for block in sorted(self._held, key=self._priorities.of):
            if surplus <= 0:
                break
            found.append(block)
            surplus -= self._held[block][1]
        return found

    def remove(self, block: BlockId) -> None:
        """Nothing happens if it is not there."""
        with self._lock:
            held = self._held.pop(block, None)
            self._priorities.remove(block)
            self._bytes -= held[1] if held else 0

    def clear(self) -> None:
        for block in list(self._held):
            self.remove(block)
