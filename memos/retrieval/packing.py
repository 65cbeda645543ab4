"""Which hits fit into a token budget. Knows only their order and sizes."""

from __future__ import annotations

from collections.abc import Sequence


def packed(sizes: Sequence[int], budget: int) -> list[int]:
    """Indices of the items taken, in order: each that still fits; one that does not is passed over.

    The sum of the sizes taken never exceeds `budget`.
    """
    taken: list[int] = []
    left = budget
    for index, size in enumerate(sizes):
        if size <= left:
            taken.append(index)
            left -= size
    return taken
