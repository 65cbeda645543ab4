"""EventStore: numbers without gaps, found by subject, gone with what they tell of."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from memos.errors import EventNotFound, InvalidInput, VersionConflict
from memos.protocols import Stores
from memos.types import Cube, NewEvent, State, UndoStep
from tests.storage import samples
from tests.storage.samples import Clock


def test_an_event_comes_back_as_it_was(stores: Stores, clock: Clock) -> None:
    new = NewEvent(
        kind="memory.merge",
        subjects=("m1", "m2", "m1"),
        reason="nearly the same",
        numbers={"cosine": 0.97, "of": ["x"]},
        actor="worker",
        undo=(UndoStep(memory_id="m1", version=3), UndoStep(memory_id="m3")),
        cause="e0",
    )
    [id] = stores.events.append("t1", [new])
    found = stores.events.get("t1", id)
    assert (found.seq, found.at, found.subjects) == (1, clock(), new.subjects)
    assert all(getattr(found, name) == getattr(new, name) for name in ("kind", "reason", "undo"))
    assert (found.numbers, found.actor, found.cause) == (new.numbers, "worker", "e0")
    assert stores.events.about("t1", "m1", limit=9) == [found]
    assert stores.events.about("t2", "m1", limit=9) == []
    for tenant, other in (("t2", id), ("t1", "unknown"), ("t1", "a\0")):
        with pytest.raises(EventNotFound):
            stores.events.get(tenant, other)
    with pytest.raises(InvalidInput):
        stores.events.append("t1", [NewEvent(kind="x", subjects=(), numbers={"x": float("nan")})])
    assert stores.events.last("t1") == 1


def test_pages_go_on_after_a_number(stores: Stores) -> None:
    kinds = ["job.dead", "memory.expire", "memory.merge", "job.dead"]
    for tenant in ("t1", "t2"):
        stores.events.append(tenant, [NewEvent(kind=kind, subjects=()) for kind in kinds])

    def numbers(**asked: object) -> list[int]:
        found = stores.events.page("t1", **{"after": 0, "limit": 9, **asked})
        return [event.seq for event in found]

    assert numbers() == [1, 2, 3, 4]
    assert numbers(after=2, limit=1) == [3]
    assert numbers(kinds=["job.dead"]) == [1, 4]
    assert numbers(kinds=["memory.", "job.dead"], after=1) == [2, 3, 4]
    assert numbers(cube_id="c") == []


def test_who_sees_a_number_has_seen_all_before(stores: Stores) -> None:
    done = threading.Event()

    def write(_: int) -> None:
        for _ in range(10):
            stores.events.append("t1", [NewEvent(kind="k", subjects=("s",))] * 2)

    def read() -> list[int]:
        seen: list[int] = []
        while not (done.is_set() and len(seen) == 80):
            seen += [e.seq for e in stores.events.page("t1", after=max(seen, default=0), limit=7)]
        return seen

    with ThreadPoolExecutor(5) as pool:
        reader = pool.submit(read)
        list(pool.map(write, range(4)))
        done.set()
        assert reader.result(timeout=60) == list(range(1, 81))


def test_a_refused_write_records_nothing_and_an_erase_takes_the_reasons(
    stores: Stores, cube: Cube, clock: Clock
) -> None:
    [memory], _ = stores.memories.insert(
        cube.id, [samples.memory(clock, cube.id)], [samples.form()]
    )
    told = NewEvent(
        kind="memory.archive", subjects=(memory.id,), reason="it says hello", cube_id=cube.id
    )
    how = {"operation": "archive", "actor": None, "reason": None, "indexed": None}
    archived = replace(memory, state=State.ARCHIVED)
    with pytest.raises(VersionConflict):
        stores.memories.replace(archived, expected_version=7, events=[told], **how)
    assert stores.events.last("t1") == 0
    stores.memories.replace(archived, expected_version=1, events=[told], **how)
    assert [e.reason for e in stores.events.about("t1", memory.id, limit=9)] == ["it says hello"]
    stores.memories.erase(cube.id, memory.id, actor=None, reason=None)
    assert [e.reason for e in stores.events.about("t1", memory.id, limit=9)] == [None]
    stores.cubes.delete(cube.id)
    assert stores.events.about("t1", memory.id, limit=9) == []
    assert stores.events.page("t1", after=0, limit=9) == []
