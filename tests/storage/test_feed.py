"""ChangeFeed: order, completeness, indexed forms, reuse of vectors."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from memos.errors import CubeNotFound, InvalidInput
from memos.protocols import Change, Stores
from memos.types import Cube, Memory, State
from tests.storage import samples
from tests.storage.samples import ANALYZER, MODEL, NOTHING, Clock, form, memory


def add(stores: Stores, *items: Memory, forms: list | None = None) -> list[Memory]:
    given = forms or [form(item.content) for item in items]
    return list(stores.memories.insert(items[0].cube_id, items, given)[0])


def replaced(stores: Stores, old: Memory, indexed: object = None, **fields: object) -> Memory:
    return stores.memories.replace(
        dataclasses.replace(old, **fields),
        expected_version=old.version,
        operation="update",
        actor=None,
        reason=None,
        indexed=indexed,
    )


def unindexed(stores: Stores, cube: Cube, **asked: object) -> list[str]:
    wanted = {"analyzer": ANALYZER, "model": MODEL.digest, "limit": 99, **asked}
    return [item.content for item in stores.feed.unindexed(cube.id, **wanted)]


def test_an_empty_cube_is_at_zero(stores: Stores, cube: Cube) -> None:
    assert stores.feed.last(cube.id) == 0
    assert stores.feed.changes(cube.id, after=0) == []
    for call in (stores.feed.last, lambda name: stores.feed.changes(name, after=0)):
        with pytest.raises(CubeNotFound):
            call("nowhere")


def test_a_change_carries_what_a_projection_needs(stores: Stores, clock: Clock, cube: Cube) -> None:
    at = clock()
    item = memory(
        clock, cube.id, "Hello", user_id="u", agent_id="a", session_id="s", speaker="Ann",
        place="Rome", occurred_at=at, expires_at=clock.forward(60), metadata={"é": [1]},
        priority=0.25,
    )  # fmt: skip
    add(stores, item)
    (found,) = stores.feed.changes(cube.id, after=0)
    vector = form("Hello").vector
    assert found.vector.dtype == np.float32
    assert np.array_equal(found.vector, vector)
    assert dataclasses.replace(found, vector=None) == Change(
        seq=1, memory_id=item.id, version=1, live=True, kind="episodic", position=1, user_id="u",
        agent_id="a", session_id="s", speaker="Ann", place="Rome", occurred_at=at.timestamp(),
        created_at=item.created_at.timestamp(), expires_at=item.expires_at.timestamp(),
        priority=0.25, metadata='{"é":[1]}', terms="hello", vector=None,
    )  # fmt: skip


def test_each_changed_memory_comes_once_as_it_is_now(
    stores: Stores, clock: Clock, cube: Cube
) -> None:
    one, two, three = add(stores, *(memory(clock, cube.id, text) for text in ("1", "2", "3")))
    replaced(stores, one, content="1b")
    two = replaced(stores, two, state=State.ARCHIVED)
    found = stores.feed.changes(cube.id, after=0)
    assert [(row.memory_id, row.seq, row.version, row.live) for row in found] == [
        (three.id, 3, 1, True),
        (one.id, 4, 2, True),
        (two.id, 5, 2, False),
    ]
    assert stores.feed.last(cube.id) == 5
    assert [row.seq for row in stores.feed.changes(cube.id, after=3)] == [4, 5]
    assert [row.seq for row in stores.feed.changes(cube.id, after=0, limit=2)] == [3, 4]
    assert stores.feed.changes(cube.id, after=5) == []


def test_numbers_are_per_cube(stores: Stores, clock: Clock, cube: Cube) -> None:
    other = stores.cubes.create(samples.cube(clock, name="other"))
    add(stores, memory(clock, cube.id), memory(clock, cube.id))
    add(stores, memory(clock, other.id))
    assert (stores.feed.last(cube.id), stores.feed.last(other.id)) == (2, 1)


def test_a_later_form_is_stored_and_announced(stores: Stores, clock: Clock, cube: Cube) -> None:
    one, two = add(stores, memory(clock, cube.id), memory(clock, cube.id), forms=[NOTHING] * 2)
    assert [row.terms for row in stores.feed.changes(cube.id, after=0)] == [None, None]
    items = [(one.id, 1, form("one")), (two.id, 1, form("two")), ("unknown", 1, form("x"))]
    assert stores.feed.put_indexed(cube.id, items) == 2
    found = stores.feed.changes(cube.id, after=2)
    assert [(row.seq, row.memory_id, row.terms) for row in found] == [
        (3, one.id, "one"),
        (4, two.id, "two"),
    ]
    assert stores.feed.last(cube.id) == 4


def test_a_stale_form_is_passed_over(stores: Stores, clock: Clock, cube: Cube) -> None:
    (item,) = add(stores, memory(clock, cube.id), forms=[NOTHING])
    item = replaced(stores, item, content="new")
    assert stores.feed.put_indexed(cube.id, [(item.id, 1, form("old"))]) == 0
    assert stores.feed.put_indexed(cube.id, []) == 0
    assert stores.feed.last(cube.id) == 2
    stores.memories.erase(cube.id, item.id, actor=None, reason=None)
    assert stores.feed.put_indexed(cube.id, [(item.id, 2, form("erased"))]) == 0
    assert stores.feed.changes(cube.id, after=0)[0].terms is None
    with pytest.raises(CubeNotFound):
        stores.feed.put_indexed("nowhere", [(item.id, 1, form())])


def test_the_same_memory_twice_is_stored_as_it_came_last(
    stores: Stores, clock: Clock, cube: Cube
) -> None:
    (item,) = add(stores, memory(clock, cube.id), forms=[NOTHING])
    twice = [(item.id, 1, form("first")), (item.id, 1, form("last"))]
    assert stores.feed.put_indexed(cube.id, twice) == 1
    assert stores.feed.changes(cube.id, after=0)[0].terms == "last"


def test_replace_keeps_or_changes_the_form(stores: Stores, clock: Clock, cube: Cube) -> None:
    (item,) = add(stores, memory(clock, cube.id, "one"))
    item = replaced(stores, item, priority=1.0)
    assert stores.feed.changes(cube.id, after=0)[0].terms == "one"
    assert unindexed(stores, cube) == []
    item = replaced(stores, item, form("two"), content="two")
    assert stores.feed.changes(cube.id, after=0)[0].terms == "two"
    assert unindexed(stores, cube) == []
    replaced(stores, item, NOTHING, content="three")
    assert stores.feed.changes(cube.id, after=0)[0].terms is None
    assert unindexed(stores, cube) == ["three"]


def test_unindexed_finds_every_lack(stores: Stores, clock: Clock, cube: Cube) -> None:
    good, terms_only, vector_only = form(), form(), form()
    terms_only = dataclasses.replace(terms_only, vector=None, model=None)
    vector_only = dataclasses.replace(vector_only, terms=None, analyzer=None)
    texts = ["good", "nothing", "no vector", "no terms", "old analyzer", "old model", "archived"]
    states = [State.ACTIVATED] * 6 + [State.ARCHIVED]
    pairs = zip(texts, states, strict=True)
    made = [memory(clock, cube.id, text, state=state) for text, state in pairs]
    forms = [good, NOTHING, terms_only, vector_only, form(analyzer="a0"), form(model="m0"), NOTHING]
    add(stores, *made, forms=forms)
    assert unindexed(stores, cube) == texts[1:6]
    assert unindexed(stores, cube, limit=2) == texts[1:3]
    assert unindexed(stores, cube, model="m2") == texts[:6]
    assert unindexed(stores, cube, analyzer="a2") == texts[:6]
    for item in stores.feed.unindexed(cube.id, analyzer=ANALYZER, model=MODEL.digest, limit=9):
        stores.feed.put_indexed(cube.id, [(item.id, item.version, form(item.content))])
    assert unindexed(stores, cube) == []


def test_vectors_are_found_by_text_and_model(stores: Stores, clock: Clock, cube: Cube) -> None:
    other = stores.cubes.create(samples.cube(clock, name="other"))
    add(stores, memory(clock, cube.id, "one"), memory(clock, cube.id, "two"))
    add(stores, memory(clock, other.id, "three"))
    hashes = [samples.sha(text) for text in ("one", "two", "three", "four")] * 300
    found = stores.feed.vectors(cube.id, hashes, MODEL.digest)
    assert set(found) == set(hashes[:2])
    assert np.array_equal(found[hashes[1]], form("two").vector)
    assert stores.feed.vectors(cube.id, hashes, "m2") == {}
    assert stores.feed.vectors(cube.id, [], MODEL.digest) == {}
    with pytest.raises(InvalidInput, match="'xyz'"):
        stores.feed.vectors(cube.id, ["xyz"], MODEL.digest)


def test_a_follower_misses_nothing_while_eight_threads_write(
    stores: Stores, clock: Clock, cube: Cube
) -> None:
    """Numbers become visible in their order: whoever has read up to n never meets a lower one."""
    threads, batches, size = 8, 6, 5
    done = threading.Event()
    seen: dict[str, int] = {}

    def write(_: int) -> None:
        for batch in range(batches):
            items = [memory(clock, cube.id, f"{batch}") for _ in range(size)]
            stored = add(stores, *items)
            replaced(stores, stored[0], content="again")
            stores.feed.put_indexed(cube.id, [(stored[1].id, 1, form("later"))])

    def follow() -> int:
        reached = 0
        while True:
            finished = done.is_set()
            last = stores.feed.last(cube.id)
            rows = stores.feed.changes(cube.id, after=reached)
            assert [row.seq for row in rows] == sorted({row.seq for row in rows})
            for row in rows:
                seen[row.memory_id] = row.seq
                reached = row.seq
            assert reached >= last
            if finished and not rows:
                return reached

    with ThreadPoolExecutor(threads + 1) as pool:
        follower = pool.submit(follow)
        for result in [pool.submit(write, n) for n in range(threads)]:
            result.result()
        done.set()
        reached = follower.result()
    assert len(seen) == threads * batches * size
    assert reached == stores.feed.last(cube.id) == threads * batches * (size + 2)
    now = {row.memory_id: row.seq for row in stores.feed.changes(cube.id, after=0)}
    assert seen == now
    positions = [item.position for item in stores.memories.page(cube.id, limit=9999)]
    assert len(set(positions)) == len(now)
