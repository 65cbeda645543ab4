"""Rings and ways, against counting them all."""

import math

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from memos.graph.network.walking import Joint, neighbours, paths


def near_of(joints):
    def near(ids, most):
        wanted = set(ids)
        found = [j for j in joints if {j.subject_id, j.object_id} & wanted]
        return found[:most]

    return near


def joint(id, one, other, confidence=0.8):
    return Joint(id, one, other, confidence)


CIRCLE = [joint("1", "a", "b"), joint("2", "b", "c"), joint("3", "c", "a"), joint("4", "c", "d")]


def test_neighbours_by_distance_with_the_facts_that_lead_there():
    rings = neighbours(near_of(CIRCLE), "a", hops=3, limit=10)
    assert [(r.entity_id, r.distance, [j.fact_id for j in r.facts]) for r in rings] == [
        ("b", 1, ["1"]),
        ("c", 1, ["3"]),
        ("d", 2, ["4"]),
    ]


def test_neighbours_with_the_surest_facts_come_first_and_the_rest_is_cut():
    near = near_of(
        [joint("1", "a", "b", 0.5), joint("2", "c", "a", 0.9), joint("3", "a", "d", 0.7)]
    )
    rings = neighbours(near, "a", hops=1, limit=2)
    assert [ring.entity_id for ring in rings] == ["c", "d"]


def test_nobody_is_near_who_is_alone():
    assert neighbours(near_of([]), "a", hops=2, limit=5) == []
    assert paths(near_of([]), "a", "b", max_hops=4, limit=5) == []
    assert paths(near_of(CIRCLE), "a", "a", max_hops=4, limit=5) == []


def test_the_surest_way_comes_first_even_if_it_is_longer():
    near = near_of(
        [joint("1", "a", "c", 0.5), joint("2", "a", "b", 0.9), joint("3", "b", "c", 0.9)]
    )
    ways = paths(near, "a", "c", max_hops=3, limit=5)
    assert [[j.fact_id for j in way] for way in ways] == [["2", "3"], ["1"]]


def test_of_equally_sure_ways_the_shorter_comes_first():
    near = near_of([joint("1", "a", "c", 1), joint("2", "a", "b", 1), joint("3", "b", "c", 1)])
    ways = paths(near, "a", "c", max_hops=3, limit=5)
    assert [len(way) for way in ways] == [1, 2]


def test_between_two_entities_the_surest_fact_counts():
    near = near_of([joint("1", "a", "b", 0.5), joint("2", "b", "a", 0.9)])
    assert [[j.fact_id for j in way] for way in paths(near, "a", "b", max_hops=2, limit=5)] == [
        ["2"]
    ]


@st.composite
def graphs(draw):
    names = "abcdef"
    pairs = [(x, y) for i, x in enumerate(names) for y in names[i + 1 :]]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=12))
    return [
        joint(f"{n}", *pair, draw(st.sampled_from([0.3, 0.5, 0.9, 1.0])))
        for n, pair in enumerate(chosen)
    ]


def pairs(way):
    return [(way[i], way[i + 1]) for i in range(len(way) - 1)]


def _sure(confidences) -> float:
    return round(math.prod(confidences), 6)


@given(joints=graphs(), hops=st.integers(1, 5), limit=st.integers(1, 20))
@settings(max_examples=300, deadline=None)
def test_paths_are_the_best_of_all_simple_ones(joints, hops, limit):
    plain = nx.Graph()
    plain.add_nodes_from("abcdef")
    for item in joints:
        plain.add_edge(item.subject_id, item.object_id, confidence=item.confidence)
    every = sorted(
        (-_sure(plain.edges[e]["confidence"] for e in pairs(way)), len(way) - 1)
        for way in nx.all_simple_paths(plain, "a", "f", cutoff=hops)
    )
    found = paths(near_of(joints), "a", "f", max_hops=hops, limit=limit)
    assert [(-_sure(j.confidence for j in way), len(way)) for way in found] == every[:limit]
    assert len({tuple(j.fact_id for j in way) for way in found}) == len(found)


@given(joints=graphs(), hops=st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_neighbours_are_those_within_so_many_hops(joints, hops):
    plain = nx.Graph([(j.subject_id, j.object_id) for j in joints])
    plain.add_node("a")
    expected = nx.single_source_shortest_path_length(plain, "a", cutoff=hops)
    rings = neighbours(near_of(joints), "a", hops=hops, limit=100)
    assert {ring.entity_id: ring.distance for ring in rings} | {"a": 0} == expected
