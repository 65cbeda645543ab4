"""The graph channel: memories by personalised PageRank from the things that a query names.

A memory is near that names these things, or things that facts join to them. Facts count if they
were true at the time asked about. Speakers' names are taken out of the query before, as for the
other channels: in a conversation they are near everything. Knows the walk, not the graph's store.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memos.retrieval.projection.columns import Rows
from memos.retrieval.projection.projection import Projection

if TYPE_CHECKING:
    from memos.graph.network.projection import GraphProjection

WIDTH = 30
"""So many of the nearest become candidates."""


def near(
    graph: GraphProjection, projection: Projection, text: str, as_of: datetime | None
) -> dict[int, float]:
    """Rows with their rank, of which the highest is 1. Empty if `text` names nothing known."""
    seeds = graph.entities_in(text)
    if not seeds:
        return {}
    moment = None if as_of is None else as_of.timestamp()
    ranks = graph.ranked_memories(seeds, as_of=moment)
    found = {
        row: rank
        for memory_id, rank in ranks.items()
        if (row := projection.row(memory_id)) is not None
    }
    highest = max(found.values(), default=1.0)
    return {row: rank / highest for row, rank in found.items()}


def nearness(found: Mapping[int, float], rows: Rows) -> NDArray[np.float32]:
    """The ranks of `rows`, 0 where the graph does not lead."""
    return np.array([found.get(row, 0.0) for row in rows.tolist()], np.float32)


def nearest(found: Mapping[int, float]) -> Rows:
    """The `WIDTH` rows of highest rank, in order of rows."""
    best = sorted(found, key=lambda row: (-found[row], row))[:WIDTH]
    return np.array(sorted(best), np.int64)
