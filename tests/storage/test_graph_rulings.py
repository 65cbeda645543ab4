"""People's decisions over what was derived: applied, undone, and as if they had never been."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memos.errors import (
    Conflict,
    EntityNotFound,
    FactNotFound,
    InvalidInput,
    RulingNotFound,
    StateConflict,
)
from memos.protocols import NewEntity, Stores
from memos.types import Cube, Ruling, RulingKind
from tests.storage.graph_world import Saying, World, brief, day, entity_id
from tests.storage.samples import Clock, new_id

ROME = Saying("Anna", "lives_in", "Rome", day(0))
PARIS = Saying("Anna", "lives_in", "Paris", day(100))


@pytest.fixture
def world(stores: Stores, cube: Cube, clock: Clock) -> World:
    return World(stores, cube, clock)


def ruling(world: World, kind: RulingKind, source: str, **fields: object) -> Ruling:
    values = {"target_id": None, "assertions": (), "actor": "me", "reason": "so", **fields}
    return Ruling(
        id=new_id(),
        cube_id=world.cube.id,
        kind=kind,
        source_id=source,
        created_at=world.clock(),
        revoked_at=None,
        **values,
    )


def merge(world: World, source: str, into: str) -> Ruling:
    item = ruling(world, RulingKind.MERGE, entity_id(source), target_id=entity_id(into))
    return world.stores.graph.rule(item)


def revoke(world: World, item: Ruling) -> Ruling:
    return world.stores.graph.revoke(world.cube.id, item.id, at=world.clock.forward(1))


def test_a_closing_is_undone_and_done_again(world: World) -> None:
    world.say(ROME)
    world.say(PARIS)
    before = world.view()
    closed = next(fact for fact in world.facts() if fact.closed_by)
    world.clock.forward(1)
    item = world.stores.graph.rule(ruling(world, RulingKind.KEEP_OPEN, closed.id))
    assert item.target_id == closed.closed_by
    assert len(item.assertions) == 2
    both = world.facts(as_of=day(200))
    assert [brief(fact)[2] for fact in both] == ["Rome", "Paris"]
    assert [fact.id for fact in both] == [fact.id for fact in world.facts()]
    # The same said again does not close it either, something else does.
    world.say(replace(PARIS, since=day(120)))
    assert len(world.facts(as_of=day(200))) == 2
    with pytest.raises(StateConflict, match=closed.id):
        world.stores.graph.rule(ruling(world, RulingKind.KEEP_OPEN, closed.id))
    assert world.stores.graph.rulings(world.cube.id) == [item]
    done = revoke(world, item)
    assert world.stores.graph.rulings(world.cube.id) == [done]
    assert [row[:6] for row in world.view()] == [row[:6] for row in before]
    with pytest.raises(StateConflict, match="revoked"):
        revoke(world, item)


def test_two_entities_become_one_and_two_again(world: World) -> None:
    graph, cube = world.stores.graph, world.cube.id
    world.say(ROME)
    world.say(Saying("Annie", "lives_in", "Paris", day(100)), Saying("Bob", "knows", "Annie"))
    before, seen = world.view(), world.clock()
    world.clock.forward(1)
    item = merge(world, "Annie", "Anna")
    anna, annie = entity_id("Anna"), entity_id("Annie")
    rome = next(fact for fact in world.facts() if brief(fact)[2] == "Rome")
    assert (rome.invalid_at, rome.rule) == (day(100), "superseded")
    for name in (anna, annie):
        assert len(world.facts(subjects=[name])) == 2
        assert {brief(fact)[0] for fact in world.facts(subjects=[name])} == {"Anna"}
    (found,) = graph.by_alias(cube, ["annie"])["annie"]
    assert (found.id, found.aliases) == (anna, ("anna", "annie"))
    (merged,) = graph.entities(cube, [annie])
    assert merged.merged_into == anna
    assert annie not in [entity.id for entity in graph.entities(cube)]
    assert graph.size(cube)[0] == 4
    # Then they were two, and what is asked of one is of that one.
    assert [row[:6] for row in world.view(known_as_of=seen)] == [row[:6] for row in before]
    assert len(world.facts(subjects=[annie], known_as_of=seen)) == 1
    assert graph.entities(cube, [annie], known_as_of=seen)[0].merged_into is None
    assert graph.entities(cube, [anna], known_as_of=seen)[0].aliases == ("anna",)
    # What is said of either while they are one goes back with it.
    world.say(Saying("Annie", "likes", '"tea"', day(1)))
    assert [brief(fact)[0] for fact in world.facts(values=["tea"])] == ["Anna"]
    revoke(world, item)
    assert [brief(fact)[0] for fact in world.facts(values=["tea"])] == ["Annie"]
    kept = [row for row in world.view() if row[2] != "tea"]
    assert kept == before
    assert world.stores.health.check(repair=False) == []


def test_a_merge_of_what_was_merged(world: World) -> None:
    for name in ("Ann", "Anna", "Annie"):
        world.say(Saying(name, "likes", f'"{name}"', day(1)))
    first = merge(world, "Ann", "Anna")
    second = merge(world, "Ann", "Annie")
    assert second.source_id == entity_id("Anna")
    assert {brief(fact)[0] for fact in world.facts()} == {"Annie"}
    with pytest.raises(Conflict, match="one entity already"):
        merge(world, "Annie", "Ann")
    with pytest.raises(Conflict):
        merge(world, "Ann", "Ann")
    revoke(world, second)
    assert sorted(brief(fact)[0] for fact in world.facts()) == ["Anna", "Anna", "Annie"]
    revoke(world, first)
    assert sorted(brief(fact)[0] for fact in world.facts()) == ["Ann", "Anna", "Annie"]


def test_an_entity_is_split_and_whole_again(world: World) -> None:
    graph, cube = world.stores.graph, world.cube.id
    first = world.say(ROME)
    second = world.say(PARIS, Saying("Bob", "knows", "Anna", day(5)))
    before = world.view()
    other = graph.record(cube, [NewEntity("anna-2", "Anna B", "thing", "anna b")], [])
    assert other.entities == {"anna-2": "anna-2"}
    sayings = tuple(f"{second.id}-1-test-1-{n}" for n in range(2))
    item = ruling(
        world, RulingKind.SPLIT, entity_id("Anna"), target_id="anna-2", assertions=sayings
    )
    graph.rule(item)
    assert [brief(fact) for fact in world.facts(subjects=[entity_id("Anna")])] == [
        ("Anna", "lives_in", "Rome", day(0), None)
    ]
    assert [brief(fact)[1:3] for fact in world.facts(touching=["anna-2"])] == [
        ("lives_in", "Paris"),
        ("knows", "Anna B"),
    ]
    named = graph.mentions(cube, [first.id, second.id])
    assert entity_id("Anna") in {mention.entity_id for mention in named[first.id]}
    assert {mention.entity_id for mention in named[second.id]} >= {"anna-2", entity_id("Bob")}
    assert entity_id("Anna") not in {mention.entity_id for mention in named[second.id]}
    assert world.stores.health.check(repair=False) == []
    revoke(world, item)
    assert world.view() == before
    assert world.facts(touching=["anna-2"]) == []


def test_rulings_about_what_is_not_there(world: World) -> None:
    graph = world.stores.graph
    world.say(ROME)
    (rome,) = world.facts()
    with pytest.raises(FactNotFound):
        graph.rule(ruling(world, RulingKind.KEEP_OPEN, "nothing"))
    with pytest.raises(StateConflict, match="no other fact closes"):
        graph.rule(ruling(world, RulingKind.KEEP_OPEN, rome.id))
    with pytest.raises(EntityNotFound, match="e-bo"):
        merge(world, "Bob", "Anna")
    with pytest.raises(EntityNotFound):
        merge(world, "Anna", "Bob")
    with pytest.raises(RulingNotFound):
        graph.revoke(world.cube.id, "nothing", at=world.clock())
    anna, city = entity_id("Anna"), entity_id("Rome")
    with pytest.raises(InvalidInput, match="no assertion 'x'"):
        graph.rule(ruling(world, RulingKind.SPLIT, anna, target_id=city, assertions=("x",)))
    with pytest.raises(InvalidInput):
        graph.rule(ruling(world, RulingKind.SPLIT, anna, target_id=city))
    assert graph.rulings(world.cube.id) == []


def test_erasing_what_a_ruling_rests_on(world: World) -> None:
    graph, cube = world.stores.graph, world.cube.id
    world.say(ROME)
    annie = world.say(Saying("Annie", "lives_in", "Paris", day(100)))
    merge(world, "Anna", "Annie")
    assert {brief(fact)[0] for fact in world.facts()} == {"Annie"}
    world.erase(annie)
    # The entity that stood for both is known only from what was erased.
    assert [brief(fact) for fact in world.facts()] == [("Anna", "lives_in", "Rome", day(0), None)]
    assert graph.rulings(cube) == []
    assert [entity.name for entity in graph.entities(cube)] == ["Anna", "Rome"]
    assert graph.entities(cube, [entity_id("Anna")])[0].merged_into is None
    assert world.stores.health.check(repair=False) == []
