"""Rows of files of states: what they are made of, what makes them stale and deletes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from memos.errors import (
    ActivationNotFound,
    AdapterNotFound,
    MemoryNotFound,
    NotFound,
    VersionConflict,
)
from memos.protocols import FORGET_STATES, RETRAIN, Stores, artifact_name, cube_name, memory_name
from memos.types import Artifact, ArtifactSource, Cube, Memory, NewJob, State, Substrate
from tests.storage import samples
from tests.storage.graph_world import World
from tests.storage.samples import Clock, new_id


@pytest.fixture
def world(stores: Stores, cube: Cube, clock: Clock) -> World:
    return World(stores, cube, clock)


def artifact(cube: Cube, memories: Sequence[Memory], at: datetime, **fields: object) -> Artifact:
    values: dict[str, object] = {
        "id": new_id(),
        "cube_id": cube.id,
        "substrate": Substrate.ACTIVATION,
        "name": "core",
        "state": State.ACTIVATED,
        "reason": None,
        "sources": tuple(ArtifactSource(memory_id=m.id, version=m.version) for m in memories),
        "system": "Be kind.",
        "own_text": "",
        "model": "tiny",
        "fingerprint": {"weights": "w"},
        "root": "00" * 32,
        "file": "11" * 32,
        "tokens": 70,
        "bytes": 7000,
        "codec": "raw",
        "policy": None,
        "pinned": False,
        "hits": 0,
        "last_used_at": None,
        "created_at": at,
        "updated_at": at,
        "actor": "key:x",
    }
    return Artifact(**{**values, **fields})  # type: ignore[arg-type]


def waiting(stores: Stores, cube: Cube) -> list[list[str]]:
    jobs = stores.jobs.page(cube.tenant_id, limit=100)
    return [list(job.payload["sources"]) for job in jobs if job.kind == FORGET_STATES]


def test_what_was_added_is_read_again(world: World) -> None:
    store, cube = world.stores.artifacts, world.cube
    a, b = world.remember("a"), world.remember("b")
    made = artifact(cube, [b, a], world.clock(), own_text="more", policy="knorm", pinned=True)
    assert store.add(made) == ()
    assert store.get(cube.id, made.id) == made
    assert store.page(cube.id, Substrate.ACTIVATION, limit=5) == [made]
    assert store.page(cube.id, Substrate.PARAMETRIC, limit=5) == []
    assert store.page(cube.id, Substrate.ACTIVATION, after=made.id, limit=5) == []
    lora = artifact(cube, [a], world.clock(), substrate=Substrate.PARAMETRIC)
    store.add(lora)
    assert store.page(cube.id, Substrate.PARAMETRIC, limit=5) == [lora]


def test_a_job_comes_with_it(world: World) -> None:
    cube = world.cube
    job = NewJob(tenant_id=cube.tenant_id, cube_id=cube.id, kind="kv_compile")
    made = artifact(cube, [], world.clock(), state=State.GENERATED)
    [id] = world.stores.artifacts.add(made, jobs=[job])
    assert world.stores.artifacts.get(cube.id, made.id).job_id == id


def test_only_what_is_there_as_named_can_be_a_source(world: World) -> None:
    store, cube = world.stores.artifacts, world.cube
    a = world.remember("a")
    with pytest.raises(VersionConflict):
        store.add(artifact(cube, [replace(a, version=2)], world.clock()))
    with pytest.raises(MemoryNotFound):
        store.add(artifact(cube, [replace(a, id="nobody")], world.clock()))
    world.erase(a)
    with pytest.raises(MemoryNotFound, match="erased"):
        store.add(artifact(cube, [a], world.clock()))
    assert store.page(cube.id, Substrate.ACTIVATION, limit=5) == []


def test_a_change_of_a_source_makes_it_stale(world: World) -> None:
    stores, cube = world.stores, world.cube
    a, b = world.remember("a"), world.remember("b")
    made = artifact(cube, [a, b], world.clock())
    other = artifact(cube, [a], world.clock())
    stores.artifacts.add(made)
    stores.artifacts.add(other)
    changed = stores.memories.replace(
        replace(b, content="c"),
        expected_version=1,
        operation="update",
        actor=None,
        reason=None,
        indexed=samples.form("c"),
    )
    found = stores.artifacts.get(cube.id, made.id)
    assert found.state is State.EXPIRED
    assert found.reason == f"memory {b.id} was compiled at version 1 and is at 2"
    assert stores.artifacts.get(cube.id, other.id) == other
    assert waiting(stores, cube) == []
    again = replace(made, sources=(made.sources[0], ArtifactSource(memory_id=b.id, version=2)))
    stores.artifacts.put(replace(again, tokens=90, hits=99))
    assert changed.version == 2
    assert stores.artifacts.get(cube.id, made.id) == replace(again, tokens=90)


def test_to_forget_a_source_queues_the_deletion_of_its_files(world: World) -> None:
    stores, cube = world.stores, world.cube
    a, b, c = (world.remember(text) for text in "abc")
    made = artifact(cube, [a, b], world.clock())
    stores.artifacts.add(made)
    world.erase(c)
    assert waiting(stores, cube) == []
    stores.memories.replace(
        replace(a, state=State.ARCHIVED),
        expected_version=1,
        operation="forget",
        actor=None,
        reason=None,
        indexed=None,
    )
    assert waiting(stores, cube) == [[memory_name(cube.id, a.id)]]
    found = stores.artifacts.get(cube.id, made.id)
    assert (found.state, found.reason) == (State.EXPIRED, f"memory {a.id} is archived")
    world.erase(b)
    a_name, b_name, c_name = (memory_name(cube.id, one.id) for one in (a, b, c))
    assert sorted(waiting(stores, cube)) == sorted([[a_name], [b_name]])
    assert stores.artifacts.wanted([a_name, b_name, c_name, artifact_name(made.id)]) == {
        artifact_name(made.id)
    }
    with pytest.raises(MemoryNotFound):
        stores.artifacts.put(found)


def test_what_is_dropped_is_gone_and_its_files_will_be(world: World) -> None:
    stores, cube = world.stores, world.cube
    made = artifact(cube, [world.remember("a")], world.clock())
    stores.artifacts.add(made)
    stores.artifacts.remove(cube.id, made.id)
    assert waiting(stores, cube) == [[artifact_name(made.id)]]
    for call in (stores.artifacts.get, stores.artifacts.remove):
        for id in (made.id, "no\0body"):
            with pytest.raises(ActivationNotFound):
                call(cube.id, id)
    with pytest.raises(ActivationNotFound):
        stores.artifacts.put(made)
    stores.artifacts.used(cube.id, made.id, hit=True, at=world.clock())
    assert stores.health.check(repair=False) == []


def test_uses_are_counted(world: World) -> None:
    store, cube = world.stores.artifacts, world.cube
    made = artifact(cube, [], world.clock())
    store.add(made)
    store.used(cube.id, made.id, hit=True, at=world.clock())
    at = world.clock.forward(5)
    store.used(cube.id, made.id, hit=False, at=at)
    assert store.get(cube.id, made.id) == replace(made, hits=1, last_used_at=at)


def test_pins_hold_also_what_is_stale(world: World) -> None:
    store, cube = world.stores.artifacts, world.cube
    a = world.remember("a")
    made = artifact(cube, [a], world.clock())
    store.add(made)
    store.pin(cube.id, made.id, pinned=True)
    assert store.get(cube.id, made.id).pinned
    world.erase(a)
    store.pin(cube.id, made.id, pinned=False)
    assert not store.get(cube.id, made.id).pinned
    with pytest.raises(ActivationNotFound):
        store.pin(cube.id, "nobody", pinned=True)


def test_a_source_that_has_expired_makes_it_stale(world: World) -> None:
    store, cube = world.stores.artifacts, world.cube
    a = world.remember("a", expires_at=world.clock() + timedelta(days=1))
    made = artifact(cube, [a], world.clock())
    store.add(made)
    assert store.get(cube.id, made.id).state is State.ACTIVATED
    world.clock.forward(2 * 86_400)
    assert store.get(cube.id, made.id).reason == f"memory {a.id} is expired"
    assert store.compiled(cube.id, a.id)
    assert not store.compiled(cube.id, "nobody")


def test_with_a_cube_go_its_files(world: World, clock: Clock) -> None:
    stores, cube = world.stores, world.cube
    other = stores.cubes.create(replace(samples.cube(clock), id=new_id(), name="other"))
    made = artifact(cube, [world.remember("a")], clock())
    stores.artifacts.add(made)
    assert stores.artifacts.wanted([cube_name(cube.id), cube_name("x")]) == {cube_name(cube.id)}
    with pytest.raises(ActivationNotFound):
        stores.artifacts.get(other.id, made.id)
    stores.cubes.delete(other.id)
    assert waiting(stores, cube) == []
    stores.cubes.delete(cube.id)
    assert waiting(stores, cube) == [[cube_name(cube.id)]]
    assert stores.artifacts.wanted([cube_name(cube.id), artifact_name(made.id)]) == set()


def test_each_tenant_has_a_salt_of_its_own(stores: Stores, clock: Clock) -> None:
    for tenant in ("one", "two"):
        stores.cubes.create(replace(samples.cube(clock), id=new_id(), tenant_id=tenant))
    salts = {tenant: stores.artifacts.salt(tenant) for tenant in ("one", "two")}
    assert len(set(salts.values())) == 2
    assert all(len(salt) == 32 for salt in salts.values())
    assert stores.artifacts.salt("one") == salts["one"]
    with pytest.raises(NotFound, match="nobody"):
        stores.artifacts.salt("nobody")


def test_one_adapter_is_at_work_until_what_it_learnt_is_forgotten(world: World) -> None:
    stores, cube = world.stores, world.cube
    a, b = world.remember("a"), world.remember("b")
    detail = {"version": 1, "keys": ["k"], "report": {"recall": 1.0}}
    fields = {"substrate": Substrate.PARAMETRIC, "detail": detail, "file": "f"}
    one = artifact(cube, [a], world.clock(), **fields)
    two = artifact(cube, [a, b], world.clock(), **fields)
    states = artifact(cube, [a], world.clock())
    for made in (one, two, states):
        stores.artifacts.add(made)
    assert stores.artifacts.attached(cube.id) is None
    stores.artifacts.attach(cube.id, one.id)
    stores.artifacts.attach(cube.id, two.id)
    assert stores.artifacts.attached(cube.id) == replace(two, attached=True)
    stores.artifacts.put(replace(two, tokens=1))
    assert stores.artifacts.get(cube.id, two.id, Substrate.PARAMETRIC).attached
    for id in (states.id, "nobody", "\0"):
        with pytest.raises(AdapterNotFound):
            stores.artifacts.attach(cube.id, id)
    with pytest.raises(AdapterNotFound):
        stores.artifacts.get(cube.id, states.id, Substrate.PARAMETRIC)
    assert stores.artifacts.attached(cube.id) is not None  # what failed changed nothing
    world.archive(b)
    assert stores.artifacts.attached(cube.id) is None
    gone = stores.artifacts.get(cube.id, two.id)
    assert (gone.file, gone.detail, gone.state) == (None, {"version": 1}, State.EXPIRED)
    assert stores.artifacts.get(cube.id, one.id).file == "f"
    jobs = [job for job in stores.jobs.page(cube.tenant_id, limit=100) if job.kind == RETRAIN]
    assert [job.payload for job in jobs] == [{"adapter_id": two.id}]
    stores.artifacts.attach(cube.id, None)
