"""Which prompts of a batch begin alike: a tree of shared runs of tokens.

Pure Python. It does not know what it costs to run a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LEAST = 32
"""Tokens that must be shared: running fewer by themselves costs more than it saves."""


@dataclass(frozen=True)
class Node:
    """Rows [first, last) agree in the tokens [start, end), and in all before them.

    Children are disjoint, within these rows, and start at `end`. Every row has at least one token
    after its last node.
    """

    first: int
    last: int
    start: int
    end: int
    children: tuple[Node, ...]


def order_of(prompts: Sequence[Sequence[int]]) -> list[int]:
    """Indices that put prompts which begin alike next to each other."""
    return sorted(range(len(prompts)), key=lambda index: tuple(prompts[index]))


def shared_runs(
    prompts: Sequence[Sequence[int]], *, first: int = 0, last: int | None = None, start: int = 0
) -> tuple[Node, ...]:
    """The nodes over rows [first, last) of ordered prompts, which agree up to `start`."""
    end_row = len(prompts) if last is None else last
    found: list[Node] = []
    row = first
    while row < end_row:
        after = _alike(prompts, row, end_row, start)
        if after - row > 1:
            end = min(common(prompts[row], prompts[after - 1]), _shortest(prompts, row, after) - 1)
            inner = shared_runs(prompts, first=row, last=after, start=end)
            found.append(Node(row, after, start, end, inner))
        row = after
    return tuple(found)


def _alike(prompts: Sequence[Sequence[int]], row: int, last: int, start: int) -> int:
    """The row after those that share LEAST tokens from `start` with `row` and have one to spare."""
    end = start + LEAST
    after = row + 1
    if len(prompts[row]) > end:
        while (
            after < last
            and len(prompts[after]) > end
            and prompts[after][start:end] == prompts[row][start:end]
        ):
            after += 1
    return after


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two prompts have in common at their beginning."""
    for index, (left, right) in enumerate(zip(a, b, strict=False)):
        if left != right:
            return index
    return min(len(a), len(b))


def _shortest(prompts: Sequence[Sequence[int]], first: int, last: int) -> int:
    return min(len(prompts[row]) for row in range(first, last))
