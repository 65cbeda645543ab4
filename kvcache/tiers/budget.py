"""One budget of bytes for adapters and states: adapters come first, states have what these leave.

An adapter at work has to be held for each token, a state only until it was read, and both can be
read from the disk again.
"""

from __future__ import annotations

from collections.abc import Callable


class Budget:
    """`total` bytes. What is taken first is told by `take`; `left` is for the others, who are asked
    by what `on_less` was given to let go of what no longer fits."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._taken = 0
        self._less: list[Callable[[], None]] = []

    @property
    def left(self) -> int:
        return max(0, self.total - self._taken)

    def take(self, size: int) -> None:
        """So many bytes are held by who comes first, from now on."""
        less = size > self._taken
        self._taken = size
        if less:
            for act in self._less:
                act()

    def on_less(self, act: Callable[[], None]) -> None:
        self._less.append(act)
