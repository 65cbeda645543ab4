"""CubeStore: names, tenants, paging, description, deletion."""

from __future__ import annotations

import pytest

from memos.errors import AlreadyExists, CubeNotFound, InvalidInput, MemoryNotFound
from memos.protocols import Stores
from memos.types import Cube, JobState, Kind, NewJob, State
from tests.storage import samples
from tests.storage.samples import MODEL, Clock, form, memory


def test_a_cube_is_found_by_name_and_by_id(stores: Stores, clock: Clock) -> None:
    made = samples.cube(clock, name="büro", description="d", metadata={"a": [1, None]})
    assert stores.cubes.create(made) == made
    assert stores.cubes.get("t1", "büro") == made
    assert stores.cubes.get("t1", made.id) == made


def test_the_id_wins_over_a_cube_named_like_it(stores: Stores, clock: Clock, cube: Cube) -> None:
    stores.cubes.create(samples.cube(clock, name=cube.id))
    assert stores.cubes.get("t1", cube.id) == cube


def test_a_name_is_unique_within_a_tenant_only(stores: Stores, clock: Clock, cube: Cube) -> None:
    with pytest.raises(AlreadyExists, match="'default'"):
        stores.cubes.create(samples.cube(clock))
    other = stores.cubes.create(samples.cube(clock, tenant="t2"))
    assert stores.cubes.get("t2", "default") == other


def test_another_tenants_cube_is_not_found(stores: Stores, cube: Cube) -> None:
    for name in (cube.id, cube.name):
        with pytest.raises(CubeNotFound):
            stores.cubes.get("t2", name)


def test_pages_are_in_order_of_id_and_of_one_tenant(stores: Stores, clock: Clock) -> None:
    made = [stores.cubes.create(samples.cube(clock, name=f"c{n}")) for n in range(5)]
    stores.cubes.create(samples.cube(clock, tenant="t2"))
    first = stores.cubes.page("t1", after=None, limit=3)
    assert first == made[:3]
    assert stores.cubes.page("t1", after=first[-1].id, limit=3) == made[3:]
    assert stores.cubes.page("nobody", after=None, limit=3) == []


def test_the_embedding_model_is_kept(stores: Stores, cube: Cube) -> None:
    stores.cubes.set_embedding(cube.id, MODEL)
    assert stores.cubes.get("t1", cube.id).embedding == MODEL
    with pytest.raises(CubeNotFound):
        stores.cubes.set_embedding("nowhere", MODEL)


def test_describe_counts_what_is_there(stores: Stores, clock: Clock, cube: Cube) -> None:
    empty = stores.cubes.describe(cube.id)
    assert (empty.memories, empty.by_kind, empty.earliest, empty.latest) == (0, {}, None, None)
    early, late = clock(), clock.forward(3600)
    made = [
        memory(clock, cube.id, "grün", session_id="a", occurred_at=late),
        memory(clock, cube.id, "x", session_id="a", kind=Kind.CORE, occurred_at=early),
        memory(clock, cube.id, "gone", session_id="b"),
    ]
    stores.memories.insert(cube.id, made, [form("1"), form("2"), form("3")])
    stores.memories.erase(cube.id, made[2].id, actor=None, reason=None)
    found = stores.cubes.describe(cube.id)
    assert found.memories == 2
    assert found.by_kind == {"episodic": 1, "core": 1}
    assert found.by_state == {"activated": 2, "erased": 1}
    assert found.sessions == 1
    assert found.text_bytes == len("grün".encode()) + 1
    assert found.vector_bytes == 2 * 4 * 4
    assert (found.earliest, found.latest) == (early, late)
    with pytest.raises(CubeNotFound):
        stores.cubes.describe("nowhere")


def test_delete_takes_everything_and_queues_the_jobs(
    stores: Stores, clock: Clock, cube: Cube
) -> None:
    kept = stores.cubes.create(samples.cube(clock, name="kept"))
    for place in (cube, kept):
        pair = [memory(clock, place.id), memory(clock, place.id)]
        stores.memories.insert(place.id, pair, [form(), form()])
    waiting = stores.jobs.enqueue(NewJob(tenant_id="t1", cube_id=cube.id, kind="index"))
    stores.cubes.delete(cube.id, jobs=[NewJob(tenant_id="t1", cube_id=cube.id, kind="drop")])
    with pytest.raises(CubeNotFound):
        stores.cubes.get("t1", cube.id)
    with pytest.raises(CubeNotFound):
        stores.feed.last(cube.id)
    with pytest.raises(CubeNotFound):
        stores.feed.changes(cube.id, after=0)
    with pytest.raises(CubeNotFound):
        stores.memories.insert(cube.id, [memory(clock, cube.id)], [form()])
    assert stores.memories.page(cube.id, limit=9) == []
    assert stores.jobs.get("t1", waiting).state is JobState.CANCELLED
    assert [job.kind for job in stores.jobs.page("t1", states=[JobState.QUEUED], limit=9)] == [
        "drop"
    ]
    assert len(stores.memories.page(kept.id, limit=9)) == 2
    assert stores.health.check(repair=False) == []
    with pytest.raises(CubeNotFound):
        stores.cubes.delete(cube.id)
    with pytest.raises(MemoryNotFound):
        stores.memories.history(cube.id, "x")


@pytest.mark.parametrize("bad", ["a\0b", "a\ud800b"])
def test_a_name_no_database_can_hold_is_refused(stores: Stores, clock: Clock, bad: str) -> None:
    with pytest.raises(InvalidInput):
        stores.cubes.create(samples.cube(clock, name=bad))
    with pytest.raises(CubeNotFound):
        stores.cubes.get("t1", bad)


def test_metadata_that_is_no_json_is_refused(stores: Stores, clock: Clock) -> None:
    for value in (float("nan"), b"bytes", "\ud800", object()):
        with pytest.raises(InvalidInput):
            stores.cubes.create(samples.cube(clock, name="x", metadata={"a": value}))
    assert stores.cubes.page("t1", after=None, limit=9) == []


def test_erased_is_not_a_state_of_the_living(stores: Stores, clock: Clock, cube: Cube) -> None:
    item = memory(clock, cube.id)
    stores.memories.insert(cube.id, [item], [form()])
    stores.memories.erase(cube.id, item.id, actor=None, reason=None)
    found = stores.cubes.describe(cube.id)
    assert found.memories == 0
    assert found.by_state == {State.ERASED.value: 1}
    assert found.earliest is None
