"""Who is near whom: rings of entities around some, and ways between two, over facts that hold.

Walks on whatever answers `near`: the graph in RAM, or SQL hop by hop. Knows ids only.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count

MOST_HOPS = 8
_MOST_FACTS = 20_000
"""Facts looked at for one answer."""
_MOST_STEPS = 100_000
"""Beginnings of ways that are looked at."""
_SUREST = 1.0 - 1e-9


@dataclass(frozen=True, slots=True)
class Joint:
    """A fact that joins two entities."""

    fact_id: str
    subject_id: str
    object_id: str
    confidence: float

    def other(self, entity_id: str) -> str:
        return self.object_id if entity_id == self.subject_id else self.subject_id


Near = Callable[[Sequence[str], int], Iterable[Joint]]
"""Facts that touch one of some entities, at most so many."""


@dataclass(frozen=True, slots=True)
class Ring:
    """An entity within reach, and the facts that lead to it from the ring before, the surest
    first."""

    entity_id: str
    distance: int
    facts: tuple[Joint, ...]


def neighbours(near: Near, start: str, *, hops: int, limit: int) -> list[Ring]:
    """Entities within `hops` of one, the nearest first, of those equally near the ones with the
    surest facts. Circles end where they close."""
    found: list[Ring] = []
    met, ring = {start}, [start]
    for distance in range(1, hops + 1):
        leading: dict[str, dict[str, Joint]] = defaultdict(dict)
        here = set(ring)
        for joint in near(ring, _MOST_FACTS):
            for end in (joint.subject_id, joint.object_id):
                if end in here and joint.other(end) not in met:
                    leading[joint.other(end)][joint.fact_id] = joint
        rings = [Ring(id, distance, _surest(facts.values())) for id, facts in leading.items()]
        rings.sort(key=lambda ring: (-ring.facts[0].confidence, -len(ring.facts), ring.entity_id))
        found += rings
        ring = [item.entity_id for item in rings]
        met.update(ring)
        if not ring or len(found) >= limit:
            break
    return found[:limit]


def _surest(joints: Iterable[Joint]) -> tuple[Joint, ...]:
    return tuple(sorted(joints, key=lambda joint: (-joint.confidence, joint.fact_id)))


def paths(
    near: Near, source: str, target: str, *, max_hops: int, limit: int
) -> list[tuple[Joint, ...]]:
    """The surest ways from one entity to another that meet none twice: by the product of their
    facts' confidences, then the shortest. Between two entities the surest fact counts."""
    if source == target:
        return []
    ways = _between(near, source, target, max_hops)
    hops = _hops_to(ways, target)
    if hops.get(source, math.inf) > max_hops:
        return []
    return _search(ways, source, target, _costs_to(ways, target), hops, max_hops, limit)


_Ways = dict[str, dict[str, Joint]]
"""Entity → neighbour → surest fact."""


def _between(near: Near, source: str, target: str, max_hops: int) -> _Ways:
    """What lies within half the hops of either end, which is where all short enough ways are."""
    ways: _Ways = defaultdict(dict)
    left = _MOST_FACTS
    for start, depth in ((source, (max_hops + 1) // 2), (target, max_hops // 2)):
        met, ring = {start}, [start]
        for _ in range(depth):
            if not ring or left <= 0:
                break
            reached: dict[str, None] = {}
            for joint in near(ring, left):
                left -= 1
                for end in (joint.subject_id, joint.object_id):
                    other = joint.other(end)
                    held = ways[end].get(other)
                    if held is None or (-joint.confidence, joint.fact_id) < (
                        -held.confidence,
                        held.fact_id,
                    ):
                        ways[end][other] = joint
                    reached[other] = None
            ring = [id for id in reached if id not in met]
            met.update(ring)
    return ways


def _hops_to(ways: _Ways, target: str) -> dict[str, int]:
    hops, ring = {target: 0}, [target]
    while ring:
        ring = [other for id in ring for other in ways.get(id, ()) if other not in hops]
        ring = list(dict.fromkeys(ring))
        distance = max(hops.values()) + 1
        hops.update(dict.fromkeys(ring, distance))
    return hops


def _cost(joint: Joint) -> float:
    return -math.log(min(_SUREST, max(joint.confidence, 1e-12)))


def _costs_to(ways: _Ways, target: str) -> dict[str, float]:
    """The cheapest way of each to the target (Dijkstra)."""
    costs: dict[str, float] = {}
    queue = [(0.0, target)]
    while queue:
        cost, id = heapq.heappop(queue)
        if id in costs:
            continue
        costs[id] = cost
        for other, joint in ways.get(id, {}).items():
            if other not in costs:
                heapq.heappush(queue, (cost + _cost(joint), other))
    return costs


def _search(
    ways: _Ways,
    source: str,
    target: str,
    costs: dict[str, float],
    hops: dict[str, int],
    max_hops: int,
    limit: int,
) -> list[tuple[Joint, ...]]:
    """Best first (A*), with the true cost of the rest as the bound. What it finds first is best."""
    found: list[tuple[Joint, ...]] = []
    number = count()
    queue: list[tuple[float, int, int, tuple[str, ...], tuple[Joint, ...]]] = [
        (costs[source], hops[source], 0, (source,), ())
    ]
    while queue and len(found) < limit:
        _, _, _, visited, way = heapq.heappop(queue)
        here = visited[-1]
        if here == target:
            found.append(way)
            continue
        spent = sum(map(_cost, way))
        for other, joint in sorted(ways[here].items()):
            length = len(way) + 1 + hops.get(other, max_hops)
            if other in visited or length > max_hops or (step := next(number)) > _MOST_STEPS:
                continue
            bound = round(spent + _cost(joint) + costs[other], 9)
            entry = (bound, length, -step, (*visited, other), (*way, joint))
            heapq.heappush(queue, entry)
    return found
