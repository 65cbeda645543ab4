"""The surroundings of entities, against a search in plain Python."""

from __future__ import annotations

import random

import pytest

from memos.protocols import Stores
from memos.types import Cube, Fact
from tests.storage.graph_world import Saying, World, day, entity_id
from tests.storage.samples import Clock


@pytest.fixture
def world(stores: Stores, cube: Cube, clock: Clock) -> World:
    return World(stores, cube, clock)


def expected(facts: list[Fact], start: str, hops: int) -> dict[str, int]:
    near, found = {start}, {}
    for distance in range(1, hops + 1):
        ring = set(near)
        for fact in facts:
            ends = {fact.subject.id} | ({fact.object.id} if fact.object else set())
            if fact.id not in found and ends & near:
                found[fact.id] = distance
                ring |= ends
        near = ring
    return found


def test_each_fact_once_with_its_distance(world: World) -> None:
    chance = random.Random(3)
    names = [f"n{n}" for n in range(14)]
    for number in range(24):
        a, b = chance.sample(names, 2)
        since, until = sorted(chance.sample(range(10), 2))
        world.say(
            Saying(a, "knows", b, day(since), day(until)),
            Saying(a, "likes", f'"{number}"', day(since)),
        )
    graph, cube = world.stores.graph, world.cube.id
    for start in (entity_id("n0"), entity_id("n5"), entity_id("n13")):
        for hops in (1, 2, 3):
            for at in (None, day(4.5)):
                found = graph.around(cube, [start], hops=hops, as_of=at)
                assert len(found) == len({fact.id for _, fact in found})
                assert [distance for distance, _ in found] == sorted(d for d, _ in found)
                wanted = expected(world.facts(as_of=at), start, hops)
                assert {fact.id: distance for distance, fact in found} == wanted
    assert graph.around(cube, ["nobody", "\0"], hops=2) == []


def test_of_a_hub_only_the_most_confident_are_read(world: World) -> None:
    world.say(*(Saying(f"n{n}", "knows", "Hub", day(1), confidence=n / 40) for n in range(40)))
    world.say(*(Saying(f"n{n}", "likes", '"x"', day(1)) for n in range(40)))
    graph, cube, hub = world.stores.graph, world.cube.id, entity_id("Hub")
    found = graph.around(cube, [hub], hops=1, per_entity=5)
    assert [fact.subject.name for _, fact in found] == ["n39", "n38", "n37", "n36", "n35"]
    found = graph.around(cube, [hub], hops=2, per_entity=5)
    assert [(d, f.predicate) for d, f in found] == [(1, "knows")] * 5 + [(2, "likes")] * 5
    assert len(graph.around(cube, [hub], hops=2, limit=7)) == 7
    assert all(not fact.sources for _, fact in found)


def test_a_view_of_the_past_and_of_what_was_merged(world: World) -> None:
    item = world.say(Saying("Anna", "knows", "Bob", day(1)))
    seen = world.clock()
    world.clock.forward(1)
    world.archive(item)
    graph, cube, bob = world.stores.graph, world.cube.id, entity_id("Bob")
    assert graph.around(cube, [bob], hops=1) == []
    assert len(graph.around(cube, [bob], hops=1, known_as_of=seen)) == 1
    assert graph.around(cube, [bob], hops=1, known_as_of=seen, as_of=day(0)) == []
