"""Followers of the graph's feed end up with what the tables have."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from memos.protocols import GraphChange, Stores
from memos.types import Cube, RulingKind
from tests.storage.graph_world import Saying, World, day, entity_id
from tests.storage.samples import Clock
from tests.storage.test_graph_rulings import merge, revoke, ruling

ROME = Saying("Anna", "lives_in", "Rome", day(0))
PARIS = Saying("Anna", "lives_in", "Paris", day(100))


@pytest.fixture
def world(stores: Stores, cube: Cube, clock: Clock) -> World:
    return World(stores, cube, clock)


@dataclass
class Follower:
    world: World
    limit: int
    seen: int = 0
    held: dict[tuple[str, str], GraphChange] = field(default_factory=dict)

    def follow(self) -> list[GraphChange]:
        got: list[GraphChange] = []
        while True:
            found = self.world.stores.graph.changes(
                self.world.cube.id, after=self.seen, limit=self.limit
            )
            if not found:
                break
            assert [change.seq for change in found] == sorted({change.seq for change in found})
            assert len(found) <= self.limit
            for change in found:
                if change.gone:
                    self.held.pop((change.kind, change.id), None)
                else:
                    self.held[change.kind, change.id] = change
            self.seen = found[-1].seq
            got += found
        assert self.seen == self.world.stores.graph.last(self.world.cube.id) or not got
        return got

    def check(self) -> None:
        self.follow()
        graph, cube = self.world.stores.graph, self.world.cube.id
        facts = {fact.id: fact for fact in self.world.facts()}
        edges = {id: change for (kind, id), change in self.held.items() if kind == "fact"}
        assert edges.keys() == facts.keys()
        for id, fact in facts.items():
            edge = edges[id]
            assert (edge.subject_id, edge.name, edge.value) == (
                fact.subject.id,
                fact.predicate,
                fact.value,
            )
            assert edge.target_id == (fact.object.id if fact.object else None)
            times = (fact.valid_at, fact.invalid_at)
            assert (edge.valid_at, edge.invalid_at) == tuple(
                None if time is None else time.timestamp() for time in times
            )
            assert edge.confidence == fact.confidence
            assert set(edge.memory_ids) == {source.memory_id for source in fact.sources}
        nodes = {id: change for (kind, id), change in self.held.items() if kind == "entity"}
        known = {entity.id: entity for entity in graph.entities(cube, list(nodes))}
        assert nodes.keys() == known.keys()
        standing = {id for id, node in nodes.items() if node.target_id is None}
        assert standing == {entity.id for entity in graph.entities(cube)}
        named = graph.mentions(cube, list(self.world.memories))
        pairs = {f"{id} {item.entity_id}" for id, items in named.items() for item in items}
        assert {id for kind, id in self.held if kind == "mention"} == pairs


@pytest.mark.parametrize("limit", [1, 3, 5000])
def test_a_follower_has_what_the_tables_have(world: World, limit: int) -> None:
    follower = Follower(world, limit)
    follower.check()
    rome = world.say(ROME)
    follower.check()
    paris = world.say(PARIS, Saying("Anna", "likes", '"tea"', day(1)))
    follower.check()
    world.archive(paris)
    follower.check()
    world.restore(paris)
    follower.check()
    world.say(Saying("Annie", "lives_in", "Oslo", day(50)), Saying("Annie", "knows", "Anna"))
    follower.check()
    item = merge(world, "Annie", "Anna")
    follower.check()
    revoke(world, item)
    follower.check()
    world.update(rome, "other")
    follower.check()
    world.erase(paris)
    follower.check()
    late = Follower(world, limit)
    late.check()
    now = {key: replace(change, seq=0) for key, change in follower.held.items()}
    assert {key: replace(change, seq=0) for key, change in late.held.items()} == now


def test_each_change_comes_once_as_it_is_now(world: World) -> None:
    world.say(ROME)
    follower = Follower(world, 5000)
    assert {change.kind for change in follower.follow()} == {"entity", "fact", "mention"}
    assert follower.follow() == []
    for number in range(3):
        world.say(replace(ROME, since=day(number)))
    got = follower.follow()
    assert len([change for change in got if change.kind == "fact"]) == 1
    assert len({(change.kind, change.id) for change in got}) == len(got)


def test_an_entity_brings_its_names(world: World) -> None:
    world.say(ROME)
    follower = Follower(world, 5000)
    follower.follow()
    node = follower.held["entity", entity_id("Anna")]
    assert (node.name, node.type, node.aliases) == ("Anna", "thing", ("anna",))


def test_keeping_open_is_a_change(world: World) -> None:
    world.say(ROME)
    world.say(PARIS)
    follower = Follower(world, 5000)
    follower.check()
    closed = next(fact for fact in world.facts() if fact.closed_by)
    world.stores.graph.rule(ruling(world, RulingKind.KEEP_OPEN, closed.id))
    follower.check()
    assert follower.held["fact", closed.id].invalid_at is None
