"""MemoryStore: exact round trips, versions, conflicts, erasure, the outbox and receipts."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memos.errors import (
    AlreadyExists,
    CubeNotFound,
    IdempotencyConflict,
    InvalidInput,
    MemoryNotFound,
    VersionConflict,
)
from memos.protocols import Receipt, Stores
from memos.types import Cube, Image, JobState, Kind, Link, Memory, NewJob, Provenance, State
from tests.storage import samples
from tests.storage.samples import NOTHING, Clock, form, memory, new_id


def add(stores: Stores, item: Memory) -> Memory:
    (stored,), _ = stores.memories.insert(item.cube_id, [item], [form(item.content)])
    return stored


def change(stores: Stores, old: Memory, **fields: object) -> Memory:
    return stores.memories.replace(
        dataclasses.replace(old, **fields),
        expected_version=old.version,
        operation="update",
        actor="ann",
        reason="because",
        indexed=None,
    )


def full(clock: Clock, cube_id: str) -> Memory:
    return memory(
        clock,
        cube_id,
        "Grüße 👋\nzweite Zeile\t'\"; DROP TABLE memory; --",
        kind=Kind.VAULT,
        state=State.GENERATED,
        user_id="u",
        agent_id="a",
        session_id="s",
        speaker="Ann",
        occurred_at=datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=timezone.utc),
        place="Zürich",
        images=(Image(url="http://x/1.png", caption="a cat"), Image(caption="only words")),
        metadata={"a": 1, "b": [1.5, None, True], "c": {"d": "é"}, "big": 2**70},
        priority=0.1,
        expires_at=datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc),
        provenance=Provenance(source="import", external_id="e\0x", actor="me", parents=("p", "q")),
    )


def test_every_field_comes_back_as_it_was(stores: Stores, clock: Clock, cube: Cube) -> None:
    item = full(clock, cube.id)
    stored = add(stores, item)
    assert stored == dataclasses.replace(item, position=1)
    assert stores.memories.get(cube.id, [item.id]) == {item.id: stored}
    (version,) = stores.memories.history(cube.id, item.id)
    assert version.memory == stored
    assert (version.version, version.operation, version.actor) == (1, "add", "me")
    assert version.changed_at == item.created_at


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50)
times = st.datetimes(timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=-7))]))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=40,
)
@given(
    content=texts,
    speaker=st.none() | texts,
    metadata=st.dictionaries(texts, values, max_size=4),
    occurred_at=st.none() | times.filter(lambda time: 2 < time.year < 9998),
    priority=st.floats(0, 1),
)
def test_any_valid_memory_comes_back(
    stores: Stores, clock: Clock, cube: Cube, **fields: object
) -> None:
    item = memory(clock, cube.id, **fields)
    stored = add(stores, item)
    assert stores.memories.get(cube.id, [item.id])[item.id] == stored
    assert stores.memories.history(cube.id, item.id)[0].memory == stored


def test_get_passes_over_what_is_not_there(stores: Stores, clock: Clock, cube: Cube) -> None:
    other = stores.cubes.create(samples.cube(clock, name="other"))
    mine, theirs = add(stores, memory(clock, cube.id)), add(stores, memory(clock, other.id))
    asked = [mine.id, theirs.id, "unknown", "nul\0", "surrogate\ud800", mine.id]
    assert stores.memories.get(cube.id, asked) == {mine.id: mine}
    assert stores.memories.get(cube.id, []) == {}
    assert stores.memories.get("nowhere", [mine.id]) == {}


def test_get_takes_thousands_of_ids(stores: Stores, clock: Clock, cube: Cube) -> None:
    made = [memory(clock, cube.id, str(n)) for n in range(2500)]
    stored, _ = stores.memories.insert(cube.id, made, [NOTHING] * len(made))
    assert list(stores.memories.get(cube.id, [item.id for item in made]).values()) == list(stored)
    assert [item.position for item in stored] == list(range(1, 2501))


def test_a_batch_is_all_or_nothing(stores: Stores, clock: Clock, cube: Cube) -> None:
    present = add(stores, memory(clock, cube.id))
    batch = [memory(clock, cube.id), memory(clock, cube.id, id=present.id)]
    job = NewJob(tenant_id="t1", cube_id=cube.id, kind="index")
    receipt = ("t1", "key", Receipt("hash", {}))
    with pytest.raises(AlreadyExists):
        stores.memories.insert(cube.id, batch, [form(), form()], jobs=[job], receipt=receipt)
    assert stores.memories.get(cube.id, [batch[0].id]) == {}
    assert stores.jobs.page("t1", limit=9) == []
    assert stores.receipts.find("t1", "key") is None
    assert stores.feed.last(cube.id) == 1


def test_the_same_id_in_two_cubes_is_two_memories(stores: Stores, clock: Clock, cube: Cube) -> None:
    other = stores.cubes.create(samples.cube(clock, name="other"))
    one = add(stores, memory(clock, cube.id, "one"))
    two = add(stores, memory(clock, other.id, "two", id=one.id))
    stores.memories.erase(cube.id, one.id, actor=None, reason=None)
    assert stores.memories.get(other.id, [one.id]) == {one.id: two}


def test_insert_into_no_cube(stores: Stores, clock: Clock) -> None:
    with pytest.raises(CubeNotFound):
        stores.memories.insert("nowhere", [memory(clock, "nowhere")], [form()])


def test_an_empty_batch_writes_nothing(stores: Stores, cube: Cube) -> None:
    assert stores.memories.insert(cube.id, [], []) == ((), ())
    assert stores.feed.last(cube.id) == 0
    with pytest.raises(InvalidInput):
        stores.memories.insert(cube.id, [], [form()])


def test_jobs_and_receipt_are_in_the_same_commit(stores: Stores, clock: Clock, cube: Cube) -> None:
    item = memory(clock, cube.id)
    job = NewJob(tenant_id="t1", cube_id=cube.id, kind="index", dedupe_key="k")
    receipt = ("t1", "key", Receipt("hash", {"status": 201}))
    _, jobs = stores.memories.insert(cube.id, [item], [form()], jobs=[job], receipt=receipt)
    assert stores.jobs.get("t1", jobs[0]).kind == "index"
    kept = stores.receipts.find("t1", "key")
    assert kept == Receipt("hash", {"status": 201, "memories": [item.id], "jobs": list(jobs)})
    second = memory(clock, cube.id)
    with pytest.raises(IdempotencyConflict, match="'key'"):
        stores.memories.insert(cube.id, [second], [form()], receipt=receipt)
    assert stores.memories.get(cube.id, [second.id]) == {}
    _, again = stores.memories.insert(cube.id, [second], [form()], jobs=[job])
    assert again == jobs


def test_replace_makes_the_next_version(stores: Stores, clock: Clock, cube: Cube) -> None:
    first = add(stores, full(clock, cube.id))
    later = clock.forward(5)
    second = change(stores, first, content="new", position=77, updated_at=later)
    assert (second.version, second.position, second.content) == (2, 1, "new")
    assert second.created_at == first.created_at
    assert stores.memories.get(cube.id, [first.id]) == {first.id: second}
    old, new = stores.memories.history(cube.id, first.id)
    assert old.memory == first
    assert new.memory == second
    assert (new.operation, new.actor, new.reason) == ("update", "ann", "because")
    assert new.changed_at == later


def test_a_stale_version_is_refused(stores: Stores, clock: Clock, cube: Cube) -> None:
    first = add(stores, memory(clock, cube.id))
    second = change(stores, first, content="two")
    with pytest.raises(VersionConflict) as caught:
        change(stores, first, content="three")
    assert caught.value.details == {"expected": 1, "actual": 2}
    assert stores.memories.get(cube.id, [first.id]) == {first.id: second}
    assert len(stores.memories.history(cube.id, first.id)) == 2
    with pytest.raises(MemoryNotFound):
        change(stores, dataclasses.replace(first, id="unknown"))
    other = stores.cubes.create(samples.cube(clock, name="other"))
    with pytest.raises(MemoryNotFound):
        change(stores, dataclasses.replace(second, cube_id=other.id))


def test_replace_queues_its_jobs(stores: Stores, clock: Clock, cube: Cube) -> None:
    first = add(stores, memory(clock, cube.id))
    stores.memories.replace(
        first,
        expected_version=1,
        operation="update",
        actor=None,
        reason=None,
        indexed=NOTHING,
        jobs=[NewJob(tenant_id="t1", cube_id=cube.id, kind="index")],
    )
    assert [job.kind for job in stores.jobs.page("t1", limit=9)] == ["index"]


def test_erase_leaves_only_a_tombstone(stores: Stores, clock: Clock, cube: Cube) -> None:
    target = add(stores, full(clock, cube.id))
    target = change(stores, target, content="second")
    other = add(stores, memory(clock, cube.id))
    link = Link(
        id=new_id(), cube_id=cube.id, source_id=other.id, target_id=target.id, relation="r",
        reason=None, created_at=clock(),
    )  # fmt: skip
    stores.links.put(link)
    seq = stores.feed.last(cube.id)
    at = clock.forward(1)
    stores.memories.erase(cube.id, target.id, actor="ann", reason="asked to")
    left = stores.memories.get(cube.id, [target.id])[target.id]
    assert left == Memory(
        id=target.id, cube_id=cube.id, content="", kind=target.kind, state=State.ERASED, version=3,
        position=1, user_id=None, agent_id=None, session_id=None, speaker=None, occurred_at=None,
        place=None, images=(), metadata={}, priority=target.priority, expires_at=None,
        provenance=Provenance(source="import"), created_at=target.created_at, updated_at=at,
    )  # fmt: skip
    history = stores.memories.history(cube.id, target.id)
    assert [(entry.operation, entry.memory) for entry in history] == [
        ("add", None),
        ("update", None),
        ("erase", None),
    ]
    assert (history[2].actor, history[2].reason, history[2].changed_at) == ("ann", "asked to", at)
    assert history[1].reason is None
    assert stores.links.of(cube.id, other.id) == ()
    assert stores.feed.vectors(cube.id, [samples.sha(target.content)], "m1") == {}
    (news,) = stores.feed.changes(cube.id, after=seq)
    assert (news.memory_id, news.live, news.terms, news.vector) == (target.id, False, None, None)
    stores.memories.erase(cube.id, target.id, actor="ann", reason=None)
    assert len(stores.memories.history(cube.id, target.id)) == 3
    with pytest.raises(MemoryNotFound):
        stores.memories.erase(cube.id, "unknown", actor=None, reason=None)
    with pytest.raises(CubeNotFound):
        stores.memories.erase("nowhere", target.id, actor=None, reason=None)


def test_pages_are_by_position_and_filtered(stores: Stores, clock: Clock, cube: Cube) -> None:
    made = []
    for n in range(12):
        fields = {"session_id": f"s{n % 3}", "user_id": "u" if n < 6 else None}
        kind = Kind.CORE if n % 2 else Kind.EPISODIC
        state = State.ARCHIVED if n == 4 else State.ACTIVATED
        made.append(add(stores, memory(clock, cube.id, str(n), kind=kind, state=state, **fields)))

    def numbers(**asked: object) -> list[int]:
        found = stores.memories.page(cube.id, **{"limit": 99, **asked})
        return [int(item.content) for item in found]

    assert numbers() == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]
    assert numbers(states=()) == list(range(12))
    assert numbers(states=(State.ARCHIVED,)) == [4]
    assert numbers(kinds=(Kind.CORE,), session_id="s0") == [3, 9]
    assert numbers(user_id="u", kinds=(Kind.CORE, Kind.EPISODIC)) == [0, 1, 2, 3, 5]
    assert numbers(agent_id="nobody") == []
    assert numbers(after=made[5].position, limit=3) == [6, 7, 8]
    moved = change(stores, made[0], content="100")
    assert moved.position == made[0].position
    assert numbers(limit=2) == [100, 1]


@pytest.mark.parametrize("field", ["content", "speaker", "session_id", "id"])
@pytest.mark.parametrize("bad", ["a\0b", "a\ud800b"])
def test_text_no_database_can_hold_is_refused(
    stores: Stores, clock: Clock, cube: Cube, field: str, bad: str
) -> None:
    good = memory(clock, cube.id)
    with pytest.raises(InvalidInput):
        stores.memories.insert(
            cube.id, [good, memory(clock, cube.id, **{field: bad})], [NOTHING] * 2
        )
    assert stores.memories.page(cube.id, limit=9) == []


def test_a_naive_time_is_refused(stores: Stores, clock: Clock, cube: Cube) -> None:
    with pytest.raises(InvalidInput, match="time zone"):
        add(stores, memory(clock, cube.id, occurred_at=datetime(2024, 1, 1)))


def test_a_very_long_text_is_kept(stores: Stores, clock: Clock, cube: Cube) -> None:
    text = "wörd " * 400_000
    item = add(stores, memory(clock, cube.id, text))
    assert stores.memories.get(cube.id, [item.id])[item.id].content == text


def test_what_is_queued_waits(stores: Stores, clock: Clock, cube: Cube) -> None:
    job = NewJob(tenant_id="t1", cube_id=cube.id, kind="index", run_at=clock.now)
    _, (job_id,) = stores.memories.insert(cube.id, [memory(clock, cube.id)], [form()], jobs=[job])
    assert stores.jobs.get("t1", job_id).state is JobState.QUEUED
