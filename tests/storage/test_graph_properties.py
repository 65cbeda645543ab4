"""What must hold of any sayings, in any order, whatever becomes of the memories that say them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memos.graph.deriving.validity import Rules
from memos.protocols import Stores
from memos.storage import open_stores
from memos.types import Memory
from tests.storage import samples
from tests.storage.graph_world import Saying, World, day, plain
from tests.storage.samples import NOTHING, Clock, new_id
from tests.storage.test_graph_feed import Follower

DAYS = (None, *(float(n) for n in range(6)))
VIEWS = (-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 9.0)
CLOCK = Clock()
_cubes = itertools.count()

sayings = st.builds(
    Saying,
    subject=st.sampled_from(["Anna", "Bob"]),
    predicate=st.sampled_from(["lives_in", "likes", "visited"]),
    object=st.sampled_from(["Rome", "Paris", '"tea"', '"TEA"', None]),
    since=st.sampled_from([None if n is None else day(n) for n in DAYS]),
    until=st.sampled_from([None, None, None, day(3), day(7)]),
    negated=st.sampled_from([False, False, False, True]),
    corrects=st.sampled_from([False, False, False, False, True]),
    confidence=st.sampled_from([0.4, 0.8]),
).filter(lambda saying: saying.object is not None or saying.negated)
said_by_memory = st.lists(
    st.tuples(st.integers(0, 5), st.lists(sayings, min_size=1, max_size=3)),
    min_size=1,
    max_size=7,
)
limits = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    url = f"sqlite:///{tmp_path_factory.mktemp('properties')}/memos.db"
    stores = open_stores(url, new_id=new_id, clock=CLOCK, derivation=Rules())
    yield stores
    stores.health.close()


def made(stores: Stores) -> World:
    cube = stores.cubes.create(samples.cube(CLOCK, name=f"c{next(_cubes)}"))
    return World(stores, cube, CLOCK)


def remembered(world: World, said: Sequence[tuple[int, list[Saying]]]) -> list[Memory]:
    """The same memories in every world, for the rules decide by their ids in the end."""
    items = [
        samples.memory(world.clock, world.cube.id, id=f"m{n}", occurred_at=day(at))
        for n, (at, _) in enumerate(said)
    ]
    stored, _ = world.stores.memories.insert(world.cube.id, items, [NOTHING] * len(items))
    world.memories = {item.id: item for item in stored}
    return list(stored)


def views(world: World) -> list[object]:
    return [world.view(), *(world.view(as_of=day(at)) for at in VIEWS)]


def told(world: World, said: Sequence[tuple[int, list[Saying]]]) -> list[Memory]:
    items = remembered(world, said)
    world.read([(item, of) for item, (_, of) in zip(items, said, strict=True)])
    return items


@limits
@given(said=said_by_memory, data=st.data())
def test_any_order_of_arrival_gives_the_same_view(
    shared: Stores, said: list[tuple[int, list[Saying]]], data: st.DataObject
) -> None:
    together, apart = made(shared), made(shared)
    told(together, said)
    items = list(zip(remembered(apart, said), said, strict=True))
    for item, (_, of) in data.draw(st.permutations(items)):
        apart.read([(item, of)])
        apart.clock.forward(1)
    assert views(apart) == views(together)


@limits
@given(said=said_by_memory, data=st.data())
def test_what_is_forgotten_was_never_said_and_what_is_restored_was_never_forgotten(
    shared: Stores, said: list[tuple[int, list[Saying]]], data: st.DataObject
) -> None:
    world, without = made(shared), made(shared)
    items = told(world, said)
    before, ids = views(world), {plain(fact): fact.id for fact in world.facts()}
    follower = Follower(world, 100)
    follower.check()
    forgotten = data.draw(st.sets(st.sampled_from(range(len(items)))))
    kept = [n for n in range(len(items)) if n not in forgotten]
    others = remembered(without, said)
    without.read([(others[n], said[n][1]) for n in kept])
    for n in forgotten:
        world.clock.forward(1)
        world.archive(items[n])
    assert views(world) == views(without)
    follower.check()
    for n in data.draw(st.permutations(sorted(forgotten))):
        world.clock.forward(1)
        world.restore(items[n])
    assert views(world) == before
    assert {plain(fact): fact.id for fact in world.facts()} == ids
    follower.check()


@limits
@given(said=said_by_memory, data=st.data())
def test_what_is_erased_leaves_nothing_behind(
    shared: Stores, said: list[tuple[int, list[Saying]]], data: st.DataObject
) -> None:
    world, without = made(shared), made(shared)
    items = list(zip(remembered(world, said), said, strict=True))
    times = [world.clock()]
    for item, (_, of) in data.draw(st.permutations(items)):
        world.read([(item, of)])
        times.append(world.clock())
        world.clock.forward(1)
    follower = Follower(world, 100)
    follower.check()
    erased = data.draw(st.sets(st.sampled_from(range(len(items))), min_size=1))
    others = remembered(without, said)
    without.read([(others[n], said[n][1]) for n in range(len(items)) if n not in erased])
    for n in data.draw(st.permutations(sorted(erased))):
        world.erase(items[n][0])
        world.clock.forward(1)
    assert views(world) == views(without)
    follower.check()
    gone = {items[n][0].id for n in erased}
    for at in times:
        for row in world.view(known_as_of=at):
            assert row[-1], row
    for fact in world.facts():
        for revision in world.stores.graph.revisions(world.cube.id, fact.id):
            assert revision.sources
            assert gone.isdisjoint(source.memory_id for source in revision.sources)
    names = {entity.name for entity in world.stores.graph.entities(world.cube.id)}
    assert names == {e.name for e in without.stores.graph.entities(without.cube.id)}


def test_the_tables_are_whole_after_all_this(shared: Stores) -> None:
    """And the facts of every cube above are those that follow from what is left."""
    assert shared.health.check(repair=False) == []
