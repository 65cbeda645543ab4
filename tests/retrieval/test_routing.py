"""Easy and hard queries, and the graph channel where it is asked."""

from contextlib import contextmanager

import numpy as np
import pytest

from memos.config import Settings
from memos.graph.network.projection import GraphProjection
from memos.protocols import GraphChange
from memos.retrieval.ranking.nearness import WIDTH, nearest
from memos.retrieval.ranking.routing import EASY, difficulty
from memos.retrieval.search import Searcher
from tests.retrieval.world import World, _Fetch


def scores(*values):
    return np.array(values, np.float32)


def test_difficulty_is_the_share_of_the_greatest_entropy():
    assert difficulty(scores()) == difficulty(scores(3)) == 0
    assert difficulty(scores(9, 0, 0, 0)) < EASY
    assert difficulty(scores(1, 1, 1, 1)) == pytest.approx(1)
    assert difficulty(scores(*[2] * 10, *[-50] * 90)) == pytest.approx(1)
    assert difficulty(scores(2, 1.9, 0)) < difficulty(scores(2, 1.9, 1.8))


def test_the_nearest_become_candidates():
    ranks = {row: row / 100 for row in range(100)}
    assert nearest(ranks).tolist() == list(range(100 - WIDTH, 100))
    assert nearest({}).tolist() == []


class Graphs:
    """A real graph of the cube, as the service holds it."""

    def __init__(self, changes) -> None:
        self.graph = GraphProjection()
        self.graph.apply([GraphChange(seq=i + 1, gone=False, **c) for i, c in enumerate(changes)])
        self.asked = 0

    @contextmanager
    def fresh(self, cube_id):
        self.asked += 1
        yield self.graph


def searcher(world: World, graphs, weight: float) -> Searcher:
    return Searcher(
        world,
        _Fetch(world),
        world.embedder,
        None,
        Settings(graph_weight=weight, fusion="plain"),
        clock=lambda: world.now,
        graph=graphs,
    )


def test_what_facts_join_to_what_is_named_is_found():
    world = World()
    for i in range(300):
        world.add(f"the kettle of Rex number {i}")
    told = world.add("Olga moved to Porto", vector=False)
    graphs = Graphs(
        [
            {"kind": "entity", "id": "R", "name": "Rex", "type": "thing", "aliases": ("rex",)},
            {"kind": "entity", "id": "O", "name": "Olga", "type": "person", "aliases": ("olga",)},
            {
                "kind": "fact",
                "id": "F",
                "name": "owner",
                "subject_id": "R",
                "target_id": "O",
                "confidence": 0.9,
                "memory_ids": (),
            },
            {"kind": "mention", "id": f"{told} O", "subject_id": told, "target_id": "O"},
        ]
    )
    text = "What about the kettle of Rex?"
    without = searcher(world, graphs, 0.0).search(world.cube, _search(text))
    assert graphs.asked == 0
    assert told not in [hit.memory.id for hit in without.hits]
    found = searcher(world, graphs, 20.0).search(world.cube, _search(text, explain=True))
    assert found.hits[0].memory.id == told
    shares = {share.channel: share for share in found.hits[0].breakdown}
    assert shares["graph"].weighted == pytest.approx(20 * shares["graph"].raw)
    assert any("graph" in why for why in found.hits[0].why)


def test_an_easy_query_does_not_ask_the_graph():
    world = World()
    for i in range(60):
        world.add(f"the kettle sings number {i}")
    world.add("a narwhal in the harbour of Porto")
    graphs = Graphs([])
    searcher(world, graphs, 1.0).search(world.cube, _search("narwhal harbour Porto"))
    assert graphs.asked == 0
    searcher(world, graphs, 1.0).search(world.cube, _search("kettle sings"))
    assert graphs.asked == 1


def _search(text, **fields):
    from memos.types import Search

    return Search(text=text, limit=50, **fields)
