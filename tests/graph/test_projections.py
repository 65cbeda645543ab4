"""Graphs held in RAM beside a real store: fresh, bounded, and safe to be read while they change."""

import threading

import pytest

from memos.errors import CubeNotFound
from memos.graph.network.projections import GraphProjections


def add(memos, *names, cube="default"):
    memos.add_facts(
        [{"subject": "Ana", "predicate": "knows", "object": name} for name in names], cube=cube
    )


def held(service, **more) -> GraphProjections:
    return GraphProjections(service.stores.graph, **{"most_facts": 100, "budget": 1 << 30, **more})


def facts(graphs, cube) -> int | None:
    with graphs.fresh(cube.id) as graph:
        return None if graph is None else len(graph)


def test_a_graph_follows_every_write(service, memos):
    graphs, cube = held(service), memos.cube("default")
    assert facts(graphs, cube) == 0
    add(memos, "Ben", "Cleo")
    assert facts(graphs, cube) == 2
    with graphs.fresh(cube.id) as graph:
        seeds = graph.entities_in("what does Cleo do?")
        ranked = graph.ranked_memories(seeds)
    (cleo,) = memos.facts(object="Cleo").items
    assert max(ranked, key=ranked.get) == cleo.sources[0].memory_id
    memos.forget(cleo.sources[0].memory_id, erase=True)
    assert facts(graphs, cube) == 1
    with graphs.fresh(cube.id) as graph:
        assert graph.entities_in("what does Cleo do?") == {}
    assert graphs.usage()["graphs"] == 1


def test_a_graph_too_large_is_not_held(service, memos):
    graphs, cube = held(service, most_facts=2), memos.cube("default")
    add(memos, "Ben", "Cleo")
    assert facts(graphs, cube) == 2
    add(memos, "Dan")
    assert facts(graphs, cube) is None
    assert facts(graphs, cube) is None
    assert graphs.usage() == {"graphs": 0, "graph_edges": 0, "graph_bytes": 0}
    graphs.drop(cube.id)
    assert facts(graphs, cube) is None


def test_the_least_recently_used_go_first(service, memos):
    graphs = held(service, budget=1)
    cubes = [memos.create_cube(name) for name in ("one", "two", "three")]
    for cube in cubes:
        add(memos, "Ben", cube=cube.name)
        assert facts(graphs, cube) == 1
    assert graphs.usage()["graphs"] == 1


def test_a_cube_that_is_gone_is_told(service, memos):
    graphs, cube = held(service), memos.create_cube("gone")
    add(memos, "Ben", cube="gone")
    assert facts(graphs, cube) == 1
    memos.delete_cube("gone")
    with pytest.raises(CubeNotFound):
        facts(graphs, cube)
    assert graphs.usage()["graphs"] == 0


def test_readers_and_writers_at_once(service, memos):
    graphs, cube = held(service), memos.cube("default")
    failures, done = [], threading.Event()

    def read():
        try:
            seen = 0
            while not done.is_set():
                with graphs.fresh(cube.id) as graph:
                    now = len(list(graph.around(graph.entities_in("Ana"), None)))
                    graph.ranked_memories(graph.entities_in("Ana"))
                assert now >= seen
                seen = now
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for n in range(12):
        add(memos, f"Person {n}")
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert facts(graphs, cube) == 12
