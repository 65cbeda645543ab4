"""What is erased was never said: not in the present, not in the past, not in the file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from sqlalchemy import event

from memos.graph.deriving.validity import Rules
from memos.protocols import Stores
from memos.storage import open_stores
from memos.types import Cube, Note, Ruling, RulingKind, Summary, SummaryKind
from tests.storage import samples
from tests.storage.graph_world import Saying, World, day, entity_id
from tests.storage.samples import Clock, new_id
from tests.storage.test_faults import bytes_of

ROME = Saying("Anna", "lives_in", "Rome", day(0))
PARIS = Saying("Anna", "lives_in", "Paris", day(100))


@pytest.fixture
def world(stores: Stores, cube: Cube, clock: Clock) -> World:
    return World(stores, cube, clock)


def test_what_it_closed_was_never_closed(world: World) -> None:
    world.say(ROME)
    (was,) = world.facts()
    world.clock.forward(1)
    paris = world.say(PARIS)
    between = world.clock()
    world.clock.forward(1)
    world.erase(paris)
    assert world.facts() == [was]
    assert world.facts(known_as_of=between) == [was]
    assert world.stores.graph.revisions(world.cube.id, was.id) == (was,)
    assert [entity.name for entity in world.stores.graph.entities(world.cube.id)] == [
        "Anna",
        "Rome",
    ]
    assert world.stores.health.check(repair=False) == []


def test_what_others_say_too_stays_as_they_say_it(world: World) -> None:
    first = world.say(Saying("Anna", "likes", '"JAZZ"', day(1), place="secret"))
    seen = world.clock()
    world.clock.forward(1)
    world.say(Saying("Anna", "likes", '"jazz"', day(3)))
    then = world.clock()
    world.clock.forward(1)
    (before,) = world.facts()
    assert (before.value, before.place, before.valid_at) == ("JAZZ", "secret", day(1))
    world.erase(first)
    (after,) = world.facts()
    assert (after.id, after.value, after.place) == (before.id, "jazz", None)
    assert after.valid_at == day(3)
    (past,) = world.facts(known_as_of=then)
    assert (past.value, past.place, past.valid_at) == ("jazz", None, day(3))
    assert world.facts(known_as_of=seen) == []
    assert all(
        (fact.value, fact.place) == ("jazz", None)
        for fact in world.stores.graph.revisions(world.cube.id, before.id)
    )
    assert world.stores.health.check(repair=False) == []


def test_a_name_that_only_it_used_goes(world: World) -> None:
    graph, cube = world.stores.graph, world.cube.id
    world.say(ROME)
    item = world.remember()
    from memos.protocols import EntityMention, Reading

    mention = EntityMention(entity_id("Anna"), "Annuschka", "annuschka", 0, 9)
    graph.record(cube, [], [Reading(item.id, 1, "x", (mention,))])
    assert graph.by_alias(cube, ["annuschka"])["annuschka"][0].id == entity_id("Anna")
    world.erase(item)
    assert graph.by_alias(cube, ["annuschka"]) == {}
    assert graph.entities(cube, [entity_id("Anna")])[0].aliases == ("anna",)


def test_an_entity_whose_name_is_erased_takes_another(world: World) -> None:
    graph, cube = world.stores.graph, world.cube.id
    first = world.say(ROME)
    item = world.remember()
    from memos.protocols import EntityMention, Reading

    mention = EntityMention(entity_id("Anna"), "Annuschka", "annuschka", 0, 9)
    graph.record(cube, [], [Reading(item.id, 1, "x", (mention,))])
    world.erase(first)
    (left,) = graph.entities(cube)
    assert (left.id, left.name, left.aliases) == (entity_id("Anna"), "Annuschka", ("annuschka",))


def test_a_former_text_is_erased_with_the_memory(world: World) -> None:
    graph, cube = world.stores.graph, world.cube.id
    item = world.say(ROME)
    changed = world.update(item, "other")
    world.read([(changed, [Saying("Bob", "lives_in", "Oslo", day(1))])])
    assert len(graph.entities(cube)) == 4
    world.erase(item)
    assert graph.entities(cube) == []
    assert world.facts() == []
    assert world.facts(known_as_of=world.clock()) == []


def note(memory_id: str, text: str, cause: str | None = None) -> Note:
    return Note(
        memory_id=memory_id,
        revision=0,
        keywords=(text,),
        tags=(text,),
        context=text,
        method="test",
        cause=cause,
        created_at=day(0),
        expired_at=None,
    )


def summary(cube: str, key: str, text: str, *memory_ids: str) -> Summary:
    return Summary(
        id=new_id(),
        cube_id=cube,
        kind=SummaryKind.SESSION,
        key=key,
        text=text,
        memory_ids=memory_ids,
        entity_ids=(),
        method="test",
        created_at=day(0),
    )


def test_erased_bytes_are_gone_from_the_file(sqlite_url: str, tmp_path: Path, clock: Clock) -> None:
    stores = open_stores(sqlite_url, new_id=new_id, clock=clock, derivation=Rules())
    cube = stores.cubes.create(samples.cube(clock))
    world = World(stores, cube, clock)
    world.extractor = "x"
    secret = "zxqsecret"
    other = world.say(ROME, Saying("Anna", "likes", f'"{secret.upper()[:3]}"', day(1)))
    made = world.say(
        Saying("Anna", "lives_in", f"{secret}ville", day(9), place=f"{secret} place"),
        Saying(f"{secret} person", "likes", f'"{secret} value"', day(2)),
        Saying("Anna", f"{secret}_predicate", '"x"', day(2)),
        text=f"{secret} text",
    )
    stores.notes.put(cube.id, [note(other.id, "plain"), note(made.id, secret)])
    stores.notes.put(cube.id, [note(other.id, secret, made.id)])
    stores.summaries.replace(
        cube.id, SummaryKind.SESSION, [summary(cube.id, "s", secret, made.id)], keys=["s"]
    )
    closed = next(fact for fact in world.facts() if fact.closed_by)
    stores.graph.rule(
        Ruling(
            id=new_id(),
            cube_id=cube.id,
            kind=RulingKind.KEEP_OPEN,
            source_id=closed.id,
            target_id=None,
            assertions=(),
            actor=None,
            reason=f"{secret} reason",
            created_at=clock(),
            revoked_at=None,
        )
    )
    changed = world.update(made, f"{secret} again")
    world.read([(changed, [Saying(f"{secret} new", "lives_in", "Rome", day(3))])])
    folder = tmp_path / "data"
    assert secret.encode() in bytes_of(folder)
    world.erase(made)
    left = bytes_of(folder)
    assert secret.encode() not in left
    assert b"Rome" in left
    assert stores.notes.get(cube.id, [other.id])[other.id].context == "plain"
    assert stores.health.check(repair=False) == []
    stores.health.close()


def test_erasing_the_only_source_of_a_past_belief(world: World) -> None:
    item = world.say(ROME)
    seen = world.clock()
    world.clock.forward(1)
    world.archive(item)
    assert len(world.facts(known_as_of=seen)) == 1
    world.erase(item)
    assert world.facts(known_as_of=seen) == []
    assert world.stores.graph.size(world.cube.id) == (0, 0)


def test_a_memory_that_names_thousands(world: World) -> None:
    graph, cube = world.stores.graph, world.cube.id
    world.say(ROME)
    item = world.say(*(Saying(f"n{n}", "likes", "Rome", day(1)) for n in range(2000)))
    assert graph.size(cube) == (2002, 2001)
    statements = []

    def count(*arguments: object) -> None:
        statements.append(arguments[2])

    engine = world.stores.health._db.engine
    event.listen(engine, "before_cursor_execute", count)
    world.erase(item)
    event.remove(engine, "before_cursor_execute", count)
    assert graph.size(cube) == (2, 1)
    assert [entity.name for entity in graph.entities(cube)] == ["Anna", "Rome"]
    # A few for each that stays, and many at once for those that go.
    assert len(statements) < 100
    assert world.stores.health.check(repair=False) == []


def test_when_only_the_erased_said_it_nothing_was_believed(world: World) -> None:
    """What was said before and after it, in the same words, is believed as it was."""
    first = Saying("Anna", "likes", "Rome", day(5), day(8))
    again = dataclasses.replace(first, corrects=True)
    world.say(first)
    times = [world.clock()]
    said = []
    for n in (6, 7):
        world.clock.forward(1)
        said.append(world.say(again, at=day(n)))
        times.append(world.clock())
    world.clock.forward(1)
    (before,) = world.facts(known_as_of=times[1])
    world.erase(said[0])
    was, between, now = (world.facts(known_as_of=at) for at in times)
    assert between == []
    assert [len(fact.sources) for fact in [*was, *now]] == [1, 1]
    assert was[0].id == now[0].id == before.id
    assert [one.revision for one in world.stores.graph.revisions(world.cube.id, before.id)] == [
        1,
        2,
    ]
    assert world.facts() == now
    assert world.stores.health.check(repair=False) == []
