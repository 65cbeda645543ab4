"""States whose layers are made when they are asked for.

A forward pass asks for them one after another, so that it can begin while later layers are still on
their way, or packed. It does not know how they are made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

from memos.kvcache.blocks.block import LayerStates, RecurrentState, States
from memos.kvcache.blocks.joining import joined
from memos.kvcache.layout import CacheLayout

State = LayerStates | RecurrentState


class LazyStates(Sequence[State]):
    """`make(i)` gives layer i and may wait or raise; it is called once, on the first use."""

    def __init__(self, count: int, make: Callable[[int], State]) -> None:
        self._make = make
        self._made: list[State | None] = [None] * count

    def __len__(self) -> int:
        return len(self._made)

    @overload
    def __getitem__(self, at: int) -> State: ...
    @overload
    def __getitem__(self, at: slice) -> list[State]: ...
    def __getitem__(self, at: int | slice) -> State | list[State]:
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(len(self)))]
        made = self._made[at]
        if made is None:
            made = self._made[at] = self._make(range(len(self))[at])
        return made


def joined_later(runs: Sequence[States], layout: CacheLayout) -> States:
    """As `joined`, each layer when it is asked for. One run is given back as it is."""
    if len(runs) == 1:
        return runs[0]

    def make(at: int) -> State:
        one = CacheLayout((layout.layers[at],), layout.dtype)
        return joined([[run[at]] for run in runs], one)[0]

    return LazyStates(len(layout.layers), make)
