"""The graph in RAM: in step with its feed, small, and walked as networkx would."""

import pickle
import random
import time
import tracemalloc

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memos.graph.network import pagerank
from memos.graph.network.edges import Edges
from memos.graph.network.pagerank import push
from memos.graph.network.projection import GraphProjection
from memos.protocols import GraphChange
from tests.graph.counting import calls


class Feed:
    def __init__(self) -> None:
        self.changes: list[GraphChange] = []

    def _next(self, kind, id, gone=False, **more):
        self.changes.append(GraphChange(len(self.changes) + 1, kind, id, gone, **more))

    def entity(self, id, *aliases, gone=False, into=None):
        self._next("entity", id, gone, name=id, type="thing", aliases=aliases, target_id=into)

    def fact(self, id, one="", other=None, gone=False, confidence=0.8, **more):
        more = {"subject_id": one, "target_id": other, "confidence": confidence, **more}
        self._next("fact", id, gone, **more)

    def mention(self, memory, entity, gone=False):
        self._next("mention", f"{memory} {entity}", gone, subject_id=memory, target_id=entity)

    def graph(self) -> GraphProjection:
        made = GraphProjection()
        made.apply(self.changes)
        return made


@pytest.fixture
def feed() -> Feed:
    made = Feed()
    for id, alias in (("A", "ana"), ("B", "ben"), ("C", "carris"), ("P", "porto city")):
        made.entity(id, alias)
    made.fact("f1", "A", "C", valid_at=100.0, invalid_at=200.0)
    made.fact("f2", "B", "C", valid_at=150.0)
    made.fact("f3", "A", "P", negated=True)
    made.fact("f4", "A", None, value="34")
    for memory, entity in (("m1", "A"), ("m1", "C"), ("m2", "B"), ("m3", "P")):
        made.mention(memory, entity)
    return made


def test_entities_named_in_a_text(feed):
    graph = feed.graph()
    assert set(graph.entities_in("Where did Ana's friend Ben go?")) == {"A", "B"}
    assert set(graph.entities_in("the Porto City office")) == {"P"}
    assert graph.entities_in("porto alone is not its name") == {}
    assert graph.entities_in("") == {}


def test_a_name_that_many_memories_have_weighs_little(feed):
    for n in range(50):
        feed.mention(f"x{n}", "A")
    weights = feed.graph().entities_in("Ana and Ben")
    assert weights["A"] < weights["B"] / 3


def test_a_merged_entity_stands_for_its_names(feed):
    feed.entity("B", "ben", into="A")
    assert set(feed.graph().entities_in("Ben")) == {"A"}


def test_changes_undo_what_was_before(feed):
    feed.fact("f1", gone=True)
    feed.entity("P", gone=True)
    feed.mention("m1", "C", gone=True)
    graph = feed.graph()
    assert sorted(graph.facts) == ["f2", "f3"]
    assert [key for key, _ in graph.around(["C"], None)] == ["f2"]
    assert graph.entities_in("porto city") == {}
    assert set(graph.ranked_memories({"C": 1.0})) == {"m2"}


def test_around_leaves_out_denials_values_and_what_does_not_hold(feed):
    from datetime import datetime, timezone

    def keys(entity, moment=None):
        at = None if moment is None else datetime.fromtimestamp(moment, timezone.utc)
        return sorted(key for key, _ in feed.graph().around([entity], at))

    assert keys("A") == ["f1"]
    assert keys("A", 99) == []
    assert keys("A", 100) == ["f1"]
    assert keys("A", 200) == []
    assert keys("C", 160) == ["f1", "f2"]
    assert keys("nobody") == []


def test_memories_are_ranked_through_facts_that_hold(feed):
    graph = feed.graph()
    at = graph.ranked_memories({"A": 1.0}, as_of=160.0)
    assert at["m1"] > at["m2"] > 0
    assert set(graph.ranked_memories({"A": 1.0}, as_of=300.0)) == {"m1", "m2"}  # m1 names C
    feed.mention("m1", "C", gone=True)
    assert set(feed.graph().ranked_memories({"A": 1.0}, as_of=300.0)) == {"m1"}
    assert graph.ranked_memories({}) == {}
    assert graph.ranked_memories({"nobody": 1.0}) == {}


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_run_of_changes_leaves_what_the_last_of_each_says(data):
    feed = Feed()
    for _ in range(data.draw(st.integers(0, 30))):
        what, gone = (
            data.draw(st.sampled_from(["entity", "fact", "mention"])),
            data.draw(st.booleans()),
        )
        one, other = (data.draw(st.sampled_from("ABC")) for _ in "12")
        if what == "entity":
            feed.entity(one, f"alias {other.lower()}", gone=gone)
        elif what == "fact":
            feed.fact(data.draw(st.sampled_from(["f1", "f2", "f3"])), one, other, gone=gone)
        else:
            feed.mention(data.draw(st.sampled_from(["m1", "m2"])), one, gone=gone)
    latest = {(change.kind, change.id): change for change in feed.changes}
    graph = feed.graph()
    facts = {
        id: {c.subject_id, c.target_id}
        for (kind, id), c in latest.items()
        if kind == "fact" and not c.gone and c.subject_id != c.target_id
    }
    assert {id: {s.subject_id, s.object_id} for id, s in graph.facts.items()} == facts
    named = {id for (kind, id), c in latest.items() if kind == "mention" and not c.gone}
    assert graph.mentions == len(named)
    for entity in "ABC":
        change = latest.get(("entity", entity))
        alive = change is not None and not change.gone
        found = {
            id for alias in ("alias a", "alias b", "alias c") for id in graph.entities_in(alias)
        }
        assert (entity in found) == alive
        reached = set(graph.ranked_memories({entity: 1.0}))
        assert reached >= {id.split()[0] for id in named if id.split()[1] == entity}


# PageRank


def random_graph(nodes, edges, seed=0):
    numbers = random.Random(seed)
    made, plain = Edges(), nx.Graph()
    plain.add_nodes_from(range(nodes))
    for n in range(edges):
        one, other = (int(nodes * numbers.random() ** 2) for _ in "12")
        if one == other or plain.has_edge(one, other):
            continue
        weight = numbers.choice([0.5, 0.8, 1.0])
        made.put(n, one, other, (weight, -np.inf, np.inf))
        plain.add_edge(one, other, weight=weight)
    return made, plain


@pytest.mark.parametrize("seeds", [{5: 1.0}, {0: 2.0, 70: 1.0}])
def test_pagerank_is_that_of_networkx(seeds):
    edges, plain = random_graph(100, 400)
    found = push(edges.adjacency(100), seeds, epsilon=1e-9)
    expected = nx.pagerank(plain, alpha=0.85, personalization=seeds, tol=1e-12, max_iter=1000)
    assert np.allclose(found, [expected[i] for i in range(100)], atol=1e-5)


def test_pagerank_errs_by_no_more_than_it_says():
    edges, plain = random_graph(300, 1500, seed=1)
    epsilon = 1e-4
    found = push(edges.adjacency(300), {3: 1.0}, epsilon=epsilon)
    exact = push(edges.adjacency(300), {3: 1.0}, epsilon=1e-12)
    degree = np.array([max(1.0, plain.degree(i, weight="weight")) for i in range(300)])
    assert (found <= exact + 1e-12).all()
    assert (exact - found <= epsilon * degree * 1.001).all()


def test_pagerank_of_a_lonely_seed_stays_with_it():
    edges = Edges()
    edges.put("x", 1, 2, (1.0, -np.inf, np.inf))
    assert push(edges.adjacency(3), {0: 1.0}).tolist() == [1.0, 0.0, 0.0]
    assert push(edges.adjacency(3), {}).tolist() == [0.0, 0.0, 0.0]


def large(facts=20_000, mentions=30_000, memories=10_000, entities=3_000) -> Feed:
    numbers, feed = random.Random(1), Feed()

    def entity() -> str:
        return f"01ENTITY{int(entities * numbers.random() ** 3):018}"

    for n in range(entities):
        feed.entity(f"01ENTITY{n:018}", f"some name {n}")
    for n in range(facts):
        feed.fact(f"01FACT{n:020}", entity(), entity(), valid_at=numbers.random() * 1e9)
    for n in range(mentions):
        feed.mention(
            f"01MEMORY{n % memories:018}", f"01ENTITY{n % 2:018}" if n < memories else entity()
        )
    return feed


def test_ranking_ten_thousand_memories_looks_at_each_edge_once_at_most(monkeypatch, capsys):
    """Which takes less than 5 ms; counted, since how long it takes says more of the machine."""
    graph = large().graph()
    seeds = graph.entities_in("some name 100 and some name 2000")
    assert len(seeds) == 2
    graph.ranked_memories(seeds, as_of=5e8)
    visited, real = [], pagerank._edges

    def counted(adjacency, nodes):
        edges, owners = real(adjacency, nodes)
        visited.append(len(edges))
        return edges, owners

    monkeypatch.setattr(pagerank, "_edges", counted)
    start = time.perf_counter()
    found = graph.ranked_memories(seeds, as_of=5e8)
    with capsys.disabled():
        took = (time.perf_counter() - start) * 1e3
        print(f"\nPageRank over {len(graph.edges)} edges: {sum(visited)} looked at, {took:.1f} ms")
    assert len(found) > 100
    assert 0 < sum(visited) < 2 * len(graph.edges)  # each has two directions
    # What is done for each of them is done by numpy, and the rows are not built anew.
    assert calls(lambda: graph.ranked_memories(seeds, as_of=5e8)) < 1000


def test_memory_per_edge_is_as_said(capsys):
    changes = pickle.dumps(large().changes)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    graph = GraphProjection()
    fresh = pickle.loads(changes)  # strings of its own, as from a database
    graph.apply(fresh)
    del fresh
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    with capsys.disabled():
        print(
            f"\n{len(graph)} facts, {graph.mentions} mentions: {held / len(graph.edges):.0f} bytes "
            f"per edge measured, {graph.bytes_per_edge:.0f} reckoned"
        )
    assert 0.7 < graph.nbytes / held < 1.4
