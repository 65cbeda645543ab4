"""Notes and summaries: revisions, causes, and what is gone with a memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memos.protocols import Stores
from memos.types import Cube, Link, SummaryKind
from tests.storage.graph_world import World, day
from tests.storage.samples import Clock, new_id
from tests.storage.test_graph_erasure import note, summary


@pytest.fixture
def world(stores: Stores, cube: Cube, clock: Clock) -> World:
    return World(stores, cube, clock)


def test_each_put_is_the_next_revision(world: World) -> None:
    notes, cube = world.stores.notes, world.cube.id
    a, b = world.remember("a"), world.remember("b")
    first, other = notes.put(cube, [note(a.id, "one"), note(b.id, "b")])
    assert (first.revision, first.created_at, first.expired_at) == (1, world.clock(), None)
    seen = world.clock()
    now = world.clock.forward(1)
    (second,) = notes.put(cube, [note(a.id, "two", cause=b.id)])
    assert (second.revision, second.cause, second.created_at) == (2, b.id, now)
    assert notes.get(cube, [a.id, b.id, "nothing"]) == {a.id: second, b.id: other}
    assert notes.get(cube, [a.id], known_as_of=seen)[a.id].context == "one"
    assert notes.history(cube, a.id) == (replace(first, expired_at=now), second)
    assert notes.caused_by(cube, b.id) == (second,)
    assert notes.history(cube, "nothing") == ()
    assert notes.get(cube, [a.id], known_as_of=day(0)) == {}


def test_twice_in_one_put(world: World) -> None:
    notes, cube = world.stores.notes, world.cube.id
    a = world.remember("a")
    stored = notes.put(cube, [note(a.id, "one"), note(a.id, "two")])
    assert [(n.revision, n.context) for n in stored] == [(1, "one"), (2, "two")]
    assert notes.history(cube, a.id) == stored
    assert notes.get(cube, [a.id])[a.id].context == "two"


def link(cube: str, source: str, target: str, reason: str = "so") -> Link:
    return Link(
        id=new_id(),
        cube_id=cube,
        source_id=source,
        target_id=target,
        relation="related",
        reason=reason,
        created_at=day(0),
    )


def test_links_come_with_notes(world: World) -> None:
    stores, cube = world.stores, world.cube.id
    a, b, c = (world.remember(text) for text in "abc")
    made = link(cube, a.id, b.id)
    stores.notes.put(cube, [note(a.id, "a")], links=[made])
    assert stores.links.of(cube, b.id) == (made,)
    stores.notes.put(cube, [], links=[link(cube, a.id, b.id), link(cube, a.id, c.id)])
    assert len(stores.links.of(cube, a.id)) == 2
    world.erase(c)
    stores.notes.put(cube, [note(c.id, "c")], links=[link(cube, b.id, c.id)])
    assert stores.notes.get(cube, [c.id]) == {}
    assert stores.links.of(cube, a.id) == (made,)


def test_links_drafted_of_a_former_text_go(world: World) -> None:
    stores, cube = world.stores, world.cube.id
    a, b, c, d = (world.remember(text) for text in "abcd")
    asked = link(cube, a.id, d.id)
    drafted = [replace(link(cube, a.id, end.id), origin="extractive-1") for end in (b, c)]
    of_another = replace(link(cube, b.id, a.id), origin="extractive-1")
    stores.notes.put(cube, [], links=[asked, *drafted, of_another])
    seen = world.clock()
    world.clock.forward(60)
    stores.notes.put(cube, [], links=[drafted[1]], relinked=[a.id])
    left = {asked, drafted[1], of_another}
    assert set(stores.links.of(cube, a.id)) == left
    assert set(stores.links.of(cube, a.id, known_as_of=seen)) == {*left, drafted[0]}
    stores.notes.put(cube, [], relinked=[a.id])
    assert set(stores.links.of(cube, a.id)) == {asked, of_another}


def test_erasing_a_cause_takes_what_it_brought_about(world: World) -> None:
    notes, cube = world.stores.notes, world.cube.id
    a, cause, later = (world.remember(text) for text in "abc")
    (first,) = notes.put(cube, [note(a.id, "one")])
    notes.put(cube, [note(cause.id, "own")])
    world.clock.forward(1)
    notes.put(cube, [note(a.id, "two", cause=cause.id)])
    world.clock.forward(1)
    notes.put(cube, [note(a.id, "three, on top of two", cause=later.id)])
    world.erase(cause)
    assert notes.history(cube, a.id) == (first,)
    assert notes.get(cube, [a.id, cause.id]) == {a.id: first}
    assert world.stores.health.check(repair=False) == []
    # One that failed to know of the erasure.
    assert notes.put(cube, [note(a.id, "late", cause=cause.id)]) == ()


def test_a_note_stays_with_an_archived_memory(world: World) -> None:
    notes, cube = world.stores.notes, world.cube.id
    a = world.remember("a")
    (made,) = notes.put(cube, [note(a.id, "one")])
    world.archive(a)
    assert notes.get(cube, [a.id]) == {a.id: made}


def test_summaries_take_each_others_place(world: World) -> None:
    summaries, cube = world.stores.summaries, world.cube.id
    a, b = world.remember("a"), world.remember("b")
    one, two = summary(cube, "s1", "one", a.id), summary(cube, "s2", "two", b.id, a.id)
    summaries.replace(cube, SummaryKind.SESSION, [one, two], keys=[])
    stored = summaries.page(cube)
    assert [(s.id, s.key, s.text, s.memory_ids) for s in stored] == [
        (one.id, "s1", "one", (a.id,)),
        (two.id, "s2", "two", (b.id, a.id)),
    ]
    seen = world.clock()
    world.clock.forward(1)
    new = summary(cube, "s1", "new", a.id)
    summaries.replace(cube, SummaryKind.SESSION, [new], keys=["s1"])
    assert [s.text for s in summaries.page(cube)] == ["two", "new"]
    assert [s.text for s in summaries.page(cube, known_as_of=seen)] == ["one", "two"]
    assert [s.text for s in summaries.page(cube, keys=["s2"])] == ["two"]
    assert [s.text for s in summaries.page(cube, after=two.id, limit=1)] == ["new"]
    assert summaries.page(cube, SummaryKind.COMMUNITY) == []
    # The same again stays what it was.
    same = replace(new, id=new_id())
    summaries.replace(cube, SummaryKind.SESSION, [same], keys=[])
    assert [s.id for s in summaries.page(cube)] == [new.id]


@pytest.mark.parametrize("way", ["archive", "update", "erase"])
def test_summaries_go_with_what_they_were_made_from(world: World, way: str) -> None:
    summaries, cube = world.stores.summaries, world.cube.id
    a, b = world.remember("a"), world.remember("b")
    made = [summary(cube, "s1", "one", a.id, b.id), summary(cube, "s2", "two", b.id)]
    summaries.replace(cube, SummaryKind.SESSION, made, keys=[])
    seen = world.clock()
    world.clock.forward(1)
    {"archive": world.archive, "erase": world.erase, "update": lambda m: world.update(m, "x")}[way](
        a
    )
    assert [s.text for s in summaries.page(cube)] == ["two"]
    then = summaries.page(cube, known_as_of=seen)
    assert [s.text for s in then] == (["two"] if way == "erase" else ["one", "two"])
    if way != "update":
        # One that was being made meanwhile.
        summaries.replace(cube, SummaryKind.SESSION, [summary(cube, "s3", "x", a.id)], keys=["s3"])
        assert [s.text for s in summaries.page(cube)] == ["two"]
    assert world.stores.health.check(repair=False) == []
