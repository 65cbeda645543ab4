"""Edges in arrays that grow: for walks over all of a graph at once.

Nodes are numbers, edges have two ends, a weight and a span of time. Knows no names.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FIRST = 1024

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Adjacency:
    """Both directions of all edges, in compressed rows: those of node u are columns[start[u] :
    start[u + 1]], with their weights and times (Unix seconds, infinite where open)."""

    start: Numbers
    columns: Numbers
    weights: Floats
    since: Floats
    until: Floats
    degree: Floats
    """Sum of the weights of a node's edges."""

    def at(self, moment: float | None) -> tuple[Floats, Floats]:
        """Weights of the edges that hold at a time, 0 for others, and the degrees that this makes;
        of all, if None."""
        if moment is None:
            return self.weights, self.degree
        weights = np.where((self.since <= moment) & (moment < self.until), self.weights, 0.0)
        return weights, degrees(self.start, weights)


def degrees(start: Numbers, weights: Floats) -> Floats:
    sums = np.concatenate([[0.0], np.cumsum(weights)])
    found: Floats = sums[start[1:]] - sums[start[:-1]]
    return found


class Edges:
    """Undirected edges by key; places of removed ones are used again."""

    def __init__(self) -> None:
        self._place: dict[Hashable, int] = {}
        self._free: list[int] = []
        self._used = 0
        self._ends = np.zeros((_FIRST, 2), np.int32)
        self._numbers = np.zeros((_FIRST, 3), np.float64)
        """Weight (0: none), since, until."""
        self._adjacency: tuple[int, Adjacency] | None = None

    def __len__(self) -> int:
        return len(self._place)

    @property
    def built_bytes(self) -> int:
        """Bytes of the compressed rows; none until they are asked for."""
        if self._adjacency is None:
            return 0
        built = self._adjacency[1]
        parts = (built.start, built.columns, built.weights, built.since, built.until, built.degree)
        return sum(part.nbytes for part in parts)

    def put(self, key: Hashable, one: int, other: int, row: tuple[float, float, float]) -> None:
        """`row` is weight, since, until."""
        place = self._place.get(key)
        if place is None:
            place = self._place[key] = self._free.pop() if self._free else self._grown()
        self._ends[place] = one, other
        self._numbers[place] = row
        self._adjacency = None

    def drop(self, key: Hashable) -> bool:
        place = self._place.pop(key, None)
        if place is None:
            return False
        self._numbers[place] = 0.0
        self._free.append(place)
        self._adjacency = None
        return True

    def adjacency(self, nodes: int) -> Adjacency:
        """Of a graph of so many nodes; built anew after a change."""
        held = self._adjacency
        if held is None or held[0] != nodes:
            self._adjacency = held = (nodes, self._built(nodes))
        return held[1]

    def _grown(self) -> int:
        if self._used == len(self._ends):
            self._ends = np.concatenate([self._ends, np.zeros_like(self._ends)])
            self._numbers = np.concatenate([self._numbers, np.zeros_like(self._numbers)])
        self._used += 1
        return self._used - 1

    def _built(self, nodes: int) -> Adjacency:
        live = np.flatnonzero(self._numbers[: self._used, 0])
        ends: NDArray[Any] = self._ends[live]
        rows = np.concatenate([ends[:, 0], ends[:, 1]])
        order = np.argsort(rows, kind="stable")
        start = np.zeros(nodes + 1, np.int64)
        np.cumsum(np.bincount(rows, minlength=nodes), out=start[1:])
        columns = np.concatenate([ends[:, 1], ends[:, 0]])[order].astype(np.int64)
        weights, since, until = (
            np.concatenate([self._numbers[live, i]] * 2)[order] for i in range(3)
        )
        return Adjacency(start, columns, weights, since, until, degrees(start, weights))
