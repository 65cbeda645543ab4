"""Facts as they follow from what memories say, seen from two times."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from memos.errors import CubeNotFound, EntityNotFound, FactNotFound, InvalidInput
from memos.graph.deriving.validity import Rules
from memos.protocols import IMPORTED, NAME_LIMIT, EntityMention, NewEntity, Reading, Stores
from memos.types import Cube, PredicateType
from tests.storage import samples
from tests.storage.graph_world import DAY, T0, Saying, World, brief, day, entity_id
from tests.storage.samples import Clock


@pytest.fixture
def world(stores: Stores, cube: Cube, clock: Clock) -> World:
    return World(stores, cube, clock)


ROME = Saying("Anna", "lives_in", "Rome", day(0))
PARIS = Saying("Anna", "lives_in", "Paris", day(100))


def test_a_newer_object_of_a_functional_predicate_closes_the_older(world: World) -> None:
    rome = world.say(ROME)
    world.say(PARIS)
    first, second = world.facts()
    assert brief(first) == ("Anna", "lives_in", "Rome", day(0), day(100))
    assert (first.closed_by, first.rule) == (second.id, "superseded")
    assert brief(second) == ("Anna", "lives_in", "Paris", day(100), None)
    assert [source.memory_id for source in first.sources] == [rome.id]
    assert world.facts(as_of=day(99)) == [first]
    assert world.facts(as_of=day(100)) == [second]
    assert world.facts(as_of=day(-1)) == []


def test_a_belief_of_the_past_is_as_it_was(world: World) -> None:
    world.say(ROME)
    before = world.clock()
    (was,) = world.facts()
    after = world.clock.forward(60)
    world.say(PARIS)
    assert world.facts(known_as_of=before) == [replace(was, expired_at=after)]
    assert brief(world.facts(known_as_of=before, as_of=day(200))[0])[2] == "Rome"
    assert brief(world.facts(known_as_of=after, as_of=day(200))[0])[2] == "Paris"
    first, second = world.stores.graph.revisions(world.cube.id, was.id)
    assert (first.revision, first.invalid_at, first.expired_at) == (1, None, after)
    assert (second.revision, second.invalid_at, second.expired_at) == (2, day(100), None)
    assert second.created_at == after
    assert world.facts(known_as_of=before - DAY) == []


def test_what_is_said_later_is_added_without_a_look_at_all_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: list[int] = []
    derive = Rules.derive

    def counting(self: Rules, kind: PredicateType, said: Any, rulings: Any) -> Any:
        whole.append(len(said))
        return derive(self, kind, said, rulings)

    monkeypatch.setattr(Rules, "derive", counting)
    for n in range(12):
        tea = Saying("Anna", "likes", '"tea"', day(n + 0.5), negated=n == 6)
        seen = Saying("Anna", "visited", "Oslo", day(n // 2))
        home = replace(PARIS if n > 8 else ROME, since=day(n))
        world.say(home, tea, seen, at=day(n + 0.1))
        world.clock.forward(1)
    assert whole == []
    homes = world.facts(predicates=["lives_in"])
    assert [brief(fact)[2:] for fact in homes] == [
        ("Rome", day(0), day(9)),
        ("Paris", day(9), None),
    ]
    assert world.stores.health.check(repair=False) == []
    world.say(replace(ROME, since=day(3)), at=day(3))
    assert max(whole) == 13
    assert world.stores.health.check(repair=False) == []


def test_support_that_changes_nothing_makes_no_revision(world: World) -> None:
    world.say(replace(ROME, confidence=1.0))
    (first,) = world.facts()
    seen = world.clock()
    world.clock.forward(1)
    world.say(replace(ROME, since=day(5), confidence=1.0))
    (again,) = world.facts()
    assert replace(again, sources=first.sources) == first
    assert len(again.sources) == 2
    assert world.facts(known_as_of=seen) == [first]


def test_forgetting_a_source_opens_what_it_closed(world: World) -> None:
    world.say(ROME)
    paris = world.say(PARIS)
    both = world.facts()
    world.clock.forward(1)
    world.archive(paris)
    (rome,) = world.facts()
    assert brief(rome) == ("Anna", "lives_in", "Rome", day(0), None)
    assert rome.id == both[0].id
    world.clock.forward(1)
    world.restore(paris)
    again = world.facts()
    assert [fact.id for fact in again] == [fact.id for fact in both]
    assert [brief(fact) for fact in again] == [brief(fact) for fact in both]
    assert world.stores.graph.mentions(world.cube.id, [paris.id])[paris.id]


def test_what_a_former_text_said_no_longer_counts(world: World) -> None:
    item = world.say(ROME)
    world.clock.forward(1)
    changed = world.update(item, "Anna lives in Oslo")
    assert world.facts() == []
    assert world.stores.graph.mentions(world.cube.id, [item.id]) == {}
    world.archive(changed)
    world.restore(changed)
    assert world.facts() == []
    present = world.stores.memories.get(world.cube.id, [item.id])[item.id]
    world.read([(present, [Saying("Anna", "lives_in", "Oslo", day(0))])])
    assert [brief(fact)[2] for fact in world.facts()] == ["Oslo"]


def test_reading_again_keeps_the_facts_that_stay(world: World) -> None:
    likes = Saying("Anna", "likes", '"Jazz"', day(1))
    item = world.say(ROME, likes)
    before = {brief(fact): fact.id for fact in world.facts()}
    world.clock.forward(1)
    world.extractor = "test-2"
    world.read([(item, [ROME, Saying("Anna", "likes", "Blues", day(1))])])
    after = {brief(fact): fact.id for fact in world.facts()}
    assert [key[2] for key in after] == ["Rome", "Blues"]
    rome = next(key for key in after if key[2] == "Rome")
    assert after[rome] == before[rome]
    mentions = world.stores.graph.mentions(world.cube.id, [item.id])[item.id]
    assert {mention.surface for mention in mentions} == {"Anna", "Rome", "Blues"}


def test_objects_of_a_multi_valued_predicate_stand_side_by_side(world: World) -> None:
    world.say(Saying("Anna", "likes", '"jazz"', day(1)), Saying("Anna", "likes", '"tea"', day(2)))
    world.say(Saying("Anna", "likes", '"Jazz"', day(9), negated=True))
    jazz, tea, no = sorted(world.facts(), key=lambda fact: fact.valid_at)
    assert (jazz.invalid_at, jazz.closed_by, jazz.rule) == (day(9), no.id, "negated")
    assert (tea.invalid_at, no.negated) == (None, True)
    assert [fact.value for fact in world.facts(values=["JAZZ"])] == ["jazz", "Jazz"]
    assert world.facts(values=["JAZZ"], include_negated=False) == [jazz]
    world.say(Saying("Anna", "likes", None, day(20), negated=True))
    (tea,) = world.facts(values=["tea"])
    assert tea.invalid_at == day(20)


def test_events_are_never_closed(world: World) -> None:
    world.say(Saying("Anna", "visited", "Rome", day(1)))
    world.say(Saying("Anna", "visited", "Paris", day(2)))
    assert all(fact.event and fact.invalid_at is None for fact in world.facts())
    assert len(world.facts(as_of=day(300))) == 2
    assert [brief(f)[2] for f in world.facts(since=day(1.5), until=day(3))] == ["Paris"]
    assert world.facts(since=day(3)) == []


def test_filters_hold_together(world: World) -> None:
    rome = world.say(ROME, Saying("Anna", "likes", '"tea"', day(0), confidence=0.4))
    world.say(Saying("Bob", "lives_in", "Rome", day(3)))
    anna, bob, city = (entity_id(name) for name in ("Anna", "Bob", "Rome"))

    def asked(**filters: object) -> list[tuple[object, object]]:
        return sorted((brief(f)[0], brief(f)[2]) for f in world.facts(**filters))

    assert asked(subjects=[anna]) == [("Anna", "Rome"), ("Anna", "tea")]
    assert asked(subjects=[anna], predicates=["lives_in"]) == [("Anna", "Rome")]
    assert asked(objects=[city]) == [("Anna", "Rome"), ("Bob", "Rome")]
    assert asked(objects=[city], predicates=["likes"]) == []
    assert asked(touching=[bob]) == [("Bob", "Rome")]
    assert asked(touching=[city, bob]) == [("Anna", "Rome"), ("Bob", "Rome")]
    assert asked(memories=[rome.id]) == [("Anna", "Rome"), ("Anna", "tea")]
    assert asked(predicates=["lives_in"]) == [("Anna", "Rome"), ("Bob", "Rome")]
    assert asked(min_confidence=0.5) == [("Anna", "Rome"), ("Bob", "Rome")]
    assert asked(subjects=["nobody", "\0", "\ud800"]) == []
    ids = [fact.id for fact in world.facts()]
    assert world.facts(ids=ids[1:])[0].id == ids[1]
    assert [fact.id for fact in world.facts(after=ids[0], limit=1)] == ids[1:2]
    assert world.facts(subjects=[anna], limit=1)[0].id == min(
        fact.id for fact in world.facts(subjects=[anna])
    )


def test_a_reading_of_a_former_version_is_passed_over(world: World) -> None:
    item = world.remember()
    world.update(item, "another text")
    assert world.read([(item, [ROME])]).facts_changed == 0
    assert world.facts() == []
    # And what only it names is not made.
    assert world.stores.graph.size(world.cube.id) == (0, 0)
    world.erase(item)
    again = replace(item, version=3)
    world.read([(again, [ROME])])
    assert world.stores.graph.size(world.cube.id) == (0, 0)


def test_what_a_caller_gave_as_facts_is_not_read_over(world: World) -> None:
    item = world.remember()
    world.extractor = IMPORTED
    world.read([(item, [ROME])])
    world.extractor = "test-1"
    world.read([(item, [PARIS])])
    assert [brief(fact)[2] for fact in world.facts()] == ["Rome"]
    assert world.stores.graph.unread(world.cube.id, "test-1", limit=9) == []
    changed = world.update(item, "Anna lives in Paris")
    assert [m.id for m in world.stores.graph.unread(world.cube.id, "test-1", limit=9)] == [item.id]
    world.read([(changed, [PARIS])])
    assert [brief(fact)[2] for fact in world.facts()] == ["Paris"]


def test_unread_are_live_memories_in_their_present_version(world: World) -> None:
    graph, cube = world.stores.graph, world.cube.id
    items = [world.remember(f"text {n}") for n in range(4)]

    def unread(extractor: str = "test-1") -> list[str]:
        return [item.id for item in graph.unread(cube, extractor, limit=100)]

    assert unread() == [item.id for item in items]
    assert len(graph.unread(cube, "test-1", limit=2)) == 2
    world.read([(items[0], [ROME]), (items[1], [])])
    graph.record(cube, [], [Reading(items[2].id, 1, "test-1", error="it broke")])
    assert unread() == [items[3].id]
    assert unread("other") == [item.id for item in items]
    world.archive(items[3])
    assert unread() == []
    world.restore(items[3])
    assert unread() == [items[3].id]
    world.archive(items[0])
    world.restore(items[0])
    assert unread() == [items[3].id]
    world.update(items[2], "better")
    assert unread() == [items[2].id, items[3].id]


def test_what_was_read_long_ago_is_not_looked_through_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memos.storage.graph.readings._STALE", 2)
    graph, cube = world.stores.graph, world.cube.id
    items = [world.remember(f"text {n}") for n in range(6)]
    world.read([(item, []) for item in items[:5]])
    assert [item.id for item in graph.unread(cube, "test-1", limit=9)] == [items[5].id]
    # From here on the first five are below the mark; a change lifts one out again.
    world.update(items[1], "other")
    assert [item.id for item in graph.unread(cube, "test-1", limit=9)] == [items[1].id, items[5].id]


def test_an_entity_of_one_name_and_type_is_made_once(world: World) -> None:
    graph, cube = world.stores.graph, world.cube.id
    first = graph.record(cube, [NewEntity("a", "Anna", "person", "anna")], [])
    again = graph.record(
        cube,
        [
            NewEntity("b", "ANNA", "person", "anna"),
            NewEntity("c", "Anna", "place", "anna"),
            NewEntity("d", "anna", "place", "anna"),
        ],
        [],
    )
    assert (first.entities, again.entities) == ({"a": "a"}, {"b": "a", "c": "c", "d": "c"})
    assert [(e.id, e.name, e.aliases) for e in graph.by_alias(cube, ["anna"])["anna"]] == [
        ("a", "Anna", ("anna",)),
        ("c", "Anna", ("anna",)),
    ]
    assert graph.by_alias(cube, ["bob"]) == {}
    assert [e.id for e in graph.entities(cube, type="place")] == ["c"]
    assert [e.id for e in graph.entities(cube, after="a", limit=5)] == ["c"]


def test_two_writers_make_one_entity(world: World) -> None:
    items = [world.remember(f"text {n}") for n in range(8)]
    start = threading.Barrier(8)
    got: list[str] = []

    def write(n: int) -> None:
        start.wait()
        mention = EntityMention(f"new-{n}", "Anna", "anna", 0, 4)
        reading = Reading(items[n].id, 1, "test-1", (mention,))
        new = NewEntity(f"new-{n}", "Anna", "person", "anna")
        done = world.stores.graph.record(world.cube.id, [new], [reading])
        got.extend(done.entities.values())

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len(set(got)) == 1
    (anna,) = world.stores.graph.entities(world.cube.id)
    assert (anna.id, anna.mentions) == (got[0], 8)


def test_an_entity_that_was_erased_meanwhile_is_to_be_resolved_again(world: World) -> None:
    item = world.remember()
    mention = EntityMention("gone", "Anna", "anna", 0, 4)
    with pytest.raises(EntityNotFound, match="gone"):
        world.stores.graph.record(world.cube.id, [], [Reading(item.id, 1, "x", (mention,))])


@pytest.mark.parametrize(
    "saying",
    [
        replace(ROME, subject="x" * (NAME_LIMIT + 1)),
        replace(ROME, predicate="x" * (NAME_LIMIT + 1)),
        replace(ROME, subject="a\0b"),
        replace(ROME, object='"a\0b"'),
        replace(ROME, confidence=1.5),
        replace(ROME, confidence=float("nan")),
    ],
)
def test_what_no_table_can_hold_is_refused(world: World, saying: Saying) -> None:
    item = world.remember()
    with pytest.raises(InvalidInput):
        world.read([(item, [saying])])
    assert world.stores.graph.size(world.cube.id) == (0, 0)
    assert world.stores.graph.last(world.cube.id) == 0


def test_a_long_value_is_kept_and_found(world: World) -> None:
    text = "long " * 200_000
    world.say(Saying("Anna", "wrote", f'"{text}"', day(0)))
    assert [fact.value for fact in world.facts(values=[text.upper()])] == [text]


def test_a_name_of_ten_thousand_aliases(world: World) -> None:
    graph, cube = world.stores.graph, world.cube.id
    item = world.remember()
    mentions = tuple(EntityMention("a", f"A{n}", f"a{n}", 0, 1) for n in range(10_000))
    graph.record(cube, [NewEntity("a", "A", "person", "a")], [Reading(item.id, 1, "x", mentions)])
    (anna,) = graph.entities(cube, ["a"])
    assert len(anna.aliases) == 10_001
    world.erase(item)
    assert graph.entities(cube) == []
    assert graph.by_alias(cube, ["a", "a77"]) == {}


def test_entities_say_how_often_they_are_named(world: World) -> None:
    world.say(ROME)
    seen = world.clock()
    world.clock.forward(1)
    world.say(Saying("Bob", "lives_in", "Rome", day(1)))
    graph, cube = world.stores.graph, world.cube.id
    (rome,) = graph.entities(cube, [entity_id("Rome")])
    assert (rome.name, rome.mentions, rome.facts) == ("Rome", 2, 2)
    assert [e.name for e in graph.entities(cube, known_as_of=seen)] == ["Anna", "Rome"]
    assert graph.entities(cube, ["nobody"]) == []
    assert graph.size(cube) == (3, 2)


def test_vectors_are_of_those_that_stand_for_themselves(world: World) -> None:
    graph, cube = world.stores.graph, world.cube.id
    vectors = [samples.form(name).vector for name in ("a", "b")]
    graph.record(
        cube,
        [NewEntity(n, n, "person", n, v) for n, v in zip("ab", vectors, strict=True)],
        [],
    )
    ids, found = graph.entity_vectors(cube, "person")
    assert ids == ["a", "b"]
    assert (found == vectors).all()
    ids, none = graph.entity_vectors(cube, "place")
    assert (ids, len(none)) == ([], 0)


def test_a_predicate_of_the_cubes_own_changes_what_follows(world: World) -> None:
    graph, cube = world.stores.graph, world.cube.id
    world.say(Saying("Car", "painted", '"red"', day(1)), Saying("Car", "painted", '"blue"', day(2)))
    assert len(world.facts(as_of=day(3))) == 2
    own = PredicateType(name="painted", functional=True, object_types=("colour",))
    graph.define(cube, predicate=own)
    (blue,) = world.facts(as_of=day(3))
    assert blue.value == "blue"
    assert graph.definitions(cube) == ((own,), ())
    graph.define(cube, predicate=replace(own, functional=False))
    assert len(world.facts(as_of=day(3))) == 2
    world.say(Saying("Car", "painted", '"green"', day(4)))
    assert len(world.facts(as_of=day(5))) == 3


def test_what_is_not_there_is_an_error(world: World) -> None:
    graph = world.stores.graph
    with pytest.raises(FactNotFound, match="nothing"):
        graph.revisions(world.cube.id, "nothing")
    with pytest.raises(CubeNotFound):
        graph.record("nowhere", [], [])
    with pytest.raises(CubeNotFound):
        graph.last("nowhere")
    with pytest.raises(CubeNotFound):
        graph.changes("nowhere", after=0)


def test_assertions_come_back_as_they_were_stored(world: World) -> None:
    item = world.say(replace(ROME, place="home"))
    (said,) = world.stores.graph.assertions(world.cube.id, [f"{item.id}-1-test-1-0", "nothing"])
    assert said == world.assertion(item, replace(ROME, place="home"), 0)


def test_a_cube_goes_with_all_of_it(world: World, stores: Stores, clock: Clock) -> None:
    other = World(stores, stores.cubes.create(samples.cube(clock, name="other")), clock)
    for each in (world, other):
        each.say(ROME)
        each.say(PARIS)
    kept = other.facts()
    stores.cubes.delete(world.cube.id)
    with stores.health._db.read() as connection:
        from memos.storage.tables import metadata

        for table in metadata.tables.values():
            if "cube_id" in table.c:
                rows = connection.execute(
                    table.select().where(table.c.cube_id == world.cube.id)
                ).all()
                assert rows == [], table.name
    assert other.facts() == kept
    assert stores.health.check(repair=False) == []


def test_time_is_exact(world: World) -> None:
    at = T0.replace(microsecond=1)
    world.say(replace(ROME, since=at))
    (fact,) = world.facts(as_of=at)
    assert fact.valid_at == at
    assert world.facts(as_of=T0) == []
    with pytest.raises(InvalidInput, match="time zone"):
        world.facts(as_of=at.replace(tzinfo=None))


def test_a_failure_takes_nothing_away(world: World) -> None:
    graph, cube = world.stores.graph, world.cube.id
    item = world.say(ROME)
    before = world.facts()
    graph.record(cube, [], [Reading(item.id, 1, "other", error="it broke")])
    assert world.facts() == before
    assert graph.unread(cube, "other", limit=9) == []
    changed = world.update(item, "other text")
    graph.record(cube, [], [Reading(item.id, changed.version, "other", error="it broke")])
    assert world.facts() == []
