"""Communities: groups of entities with many facts among themselves, found by modularity.

Louvain (Blondel et al., "Fast unfolding of communities in large networks", 2008), as networkx has
it. The same graph gives the same groups. Knows the graph's feed; not what a community is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from memos.protocols import GraphChange, GraphStore

FEWEST = 3
"""Entities of a community; two that know each other are a fact."""
MOST_FACTS = 50_000
"""Of larger graphs the newest facts count: minutes of work would not tell a reader more."""

_PAGE = 5000


def communities(graph: GraphStore, cube_id: str, *, now: datetime) -> list[tuple[str, ...]]:
    """Ids of the entities of each community, the largest first; facts that are over or denied join
    nothing."""
    import networkx as nx

    edges = sorted(_edges(graph, cube_id, now))[-MOST_FACTS:]
    net = nx.Graph()
    for _, one, other, confidence in edges:
        known = net.get_edge_data(one, other, {"weight": 0.0})["weight"]
        net.add_edge(one, other, weight=known + confidence)
    if not net:
        return []
    found = nx.community.louvain_communities(net, weight="weight", seed=0)
    groups = [tuple(sorted(group)) for group in found if len(group) >= FEWEST]
    return sorted(groups, key=lambda group: (-len(group), group))


def _edges(graph: GraphStore, cube_id: str, now: datetime) -> Iterator[tuple[int, str, str, float]]:
    """(change number, one end, the other, confidence) of facts between two entities."""
    moment, after = now.timestamp(), 0
    while changes := graph.changes(cube_id, after=after, limit=_PAGE):
        after = changes[-1].seq
        for change in changes:
            if change.target_id is not None and _joins(change, moment):
                one, other = sorted((change.subject_id, change.target_id))
                yield change.seq, one, other, change.confidence


def _joins(change: GraphChange, moment: float) -> bool:
    return (
        change.kind == "fact"
        and not change.gone
        and not change.negated
        and change.subject_id != change.target_id
        and (change.invalid_at is None or change.invalid_at > moment)
    )
