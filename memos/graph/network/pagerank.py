"""Personalised PageRank by forward push: what lies near some nodes of a graph.

Andersen, Chung, Lang, "Local Graph Partitioning using PageRank Vectors", FOCS 2006, section 2,
with all nodes that are due pushed in one step. Knows arrays of edges only.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from memos.graph.network.edges import Adjacency, Floats, Numbers

ALPHA = 0.15
"""Chance to go back to the start at each step; 1 - ALPHA is networkx's alpha."""
EPSILON = 2e-5
"""The error at a node is at most so much times its weighted degree."""

_ROUNDS = 200


def push(
    adjacency: Adjacency,
    seeds: Mapping[int, float],
    *,
    as_of: float | None = None,
    alpha: float = ALPHA,
    epsilon: float = EPSILON,
) -> Floats:
    """Approximate PageRank of all nodes, shape (nodes,), for a walk that starts at `seeds` (node →
    weight, in proportion) over the edges that hold at `as_of`. Sums up to at most 1.

    Too little by at most epsilon * degree at each node; a node without edges keeps what it gets, as
    networkx's PageRank gives it back to the seeds. O(1 / (epsilon * alpha)) edge visits.
    """
    weights, degree = adjacency.at(as_of)
    nodes = len(adjacency.start) - 1
    rank, rest = np.zeros(nodes), np.zeros(nodes)
    total = sum(seeds.values())
    if not total:
        return rank
    for node, weight in seeds.items():
        rest[node] = weight / total
    active = np.flatnonzero(rest)
    for _ in range(_ROUNDS):
        active = active[rest[active] > epsilon * np.maximum(degree[active], 1.0)]
        if not len(active):
            break
        due = rest[active]
        rest[active] = 0.0
        alone = degree[active] <= 1e-12
        rank[active] += np.where(alone, due, alpha * due)
        active, due = active[~alone], due[~alone]
        edges, owners = _edges(adjacency, active)
        share = (1 - alpha) * due / degree[active]
        moved = share[owners] * weights[edges]
        columns = adjacency.columns[edges]
        if len(columns) * 8 > nodes:
            rest += np.bincount(columns, moved, minlength=nodes)
            active = np.flatnonzero(rest)
        else:
            np.add.at(rest, columns, moved)
            active = np.unique(columns)
    return rank


def _edges(adjacency: Adjacency, nodes: Numbers) -> tuple[Numbers, Numbers]:
    """Places of the edges of `nodes`, and for each which of `nodes` it is of."""
    first = adjacency.start[nodes]
    counts = adjacency.start[nodes + 1] - first
    owners = np.repeat(np.arange(len(nodes)), counts)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    return first[owners] + within, owners
