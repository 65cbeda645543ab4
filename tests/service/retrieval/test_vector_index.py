"""The service with a vector index: Chroma beside SQLite, pgvector beside PostgreSQL."""

import time
from datetime import timedelta

import numpy as np
import pytest

from memos.assembly import build
from memos.errors import CubeNotFound, IndexUnavailable, StorageFull, StorageUnavailable
from memos.service.retrieval.jobs import sync_vectors
from memos.testing import HashEmbedder
from memos.types import JobState, State


@pytest.fixture
def full(memos, service, clock):
    """A cube past `vector_index_min`, with its index in step."""
    memos.add([f"Note {n} is about topic{n}." for n in range(30)])
    clock.forward(seconds=5)
    memos.add("One more, so that a sync is queued.")
    clock.forward(seconds=5)
    service.worker.drain()
    return memos


def test_a_large_cube_gets_an_index_and_search_uses_it(full, service):
    cube = full.cube("default")
    index = service.vector_index()
    assert index.reached(cube.id) == service.stores.feed.last(cube.id)
    assert len(index.ids(cube.id)) == 31
    assert full.search("topic17").hits[0].memory.content == "Note 17 is about topic17."


def test_what_the_index_has_not_seen_yet_is_found(full):
    full.add("The zeppelin landed.")
    assert full.search("zeppelin").hits[0].memory.content == "The zeppelin landed."


def test_forgetting_and_erasing_leave_no_trace(full, service):
    cube = full.cube("default")
    first, second = full.search("topic3").hits[0].memory, full.search("topic4").hits[0].memory
    full.forget(first.id)
    full.forget(second.id, erase=True)
    assert second.id not in service.vector_index().ids(cube.id)
    for text, memory in (("topic3", first), ("topic4", second)):
        assert memory.id not in [hit.memory.id for hit in full.search(text).hits]


def test_doctor_finds_and_repairs_drift(full, service):
    cube = full.cube("default")
    index = service.vector_index()
    reached = index.reached(cube.id)
    some = sorted(index.ids(cube.id))[:3]
    index.delete(cube.id, some, seq=reached)
    findings = full.doctor()
    assert [(f.check, f.count, f.repaired) for f in findings] == [("vector-index", 3, False)]
    assert all(f.repaired for f in full.doctor(repair=True))
    assert full.doctor() == ()
    assert set(some) <= service.vector_index().ids(cube.id)


@pytest.mark.parametrize("mended", ["by the next write", "by doctor"])
def test_an_index_of_a_later_database_is_built_anew(full, service, clock, mended):
    cube = full.cube("default")
    index = service.vector_index()
    # As a restore of the database alone leaves it: the index knows more, and other vectors.
    stray = np.ones((1, service.embedder.model.dimensions), np.float32)
    index.upsert(cube.id, ["stray"], stray, seq=service.stores.feed.last(cube.id) + 100)
    assert [f.problem for f in full.doctor()] == ["an index of a later database than this one"]
    if mended == "by doctor":
        assert [f.repaired for f in full.doctor(repair=True)] == [True]
    else:
        full.add("The zeppelin landed.")
        clock.forward(seconds=5)
        service.worker.drain()
    held = index.ids(cube.id)
    assert "stray" not in held
    assert len(held) == (31 if mended == "by doctor" else 32)
    assert index.reached(cube.id) == service.stores.feed.last(cube.id)
    assert full.doctor() == ()
    assert full.search("topic17").hits[0].memory.content == "Note 17 is about topic17."


@pytest.mark.parametrize("change", ["other memories", "other texts"])
def test_an_index_of_another_history_is_built_anew(full, service, clock, change):
    """A database that was restored and has gone on since, so that its numbers are as high."""
    cube = full.cube("default")
    index = service.vector_index()
    newest = full.memories(limit=50).items[-3:]
    last = service.stores.feed.last(cube.id)
    ids = [memory.id for memory in newest]
    if change == "other memories":
        index.delete(cube.id, ids, seq=last)
    else:
        stray = np.ones((3, service.embedder.model.dimensions), np.float32)
        index.upsert(cube.id, ids, stray, seq=last)
        assert [f.problem for f in full.doctor()] == [
            "vectors in the index that are not those of their memories"
        ]
    full.add("The zeppelin landed.")
    clock.forward(seconds=5)
    service.worker.drain()
    held = index.vectors(cube.id, ids)
    wanted = service.embedder.embed([memory.content for memory in newest])
    for memory_id, vector in zip(ids, wanted, strict=True):
        np.testing.assert_allclose(held[memory_id], vector, atol=1e-5)
    assert full.doctor() == ()


def test_reindex_rebuilds_without_a_model(full, service, monkeypatch):
    cube = full.cube("default")
    service.vector_index().drop(cube.id)

    def no_model(texts):
        raise AssertionError("the model was asked")

    monkeypatch.setattr(service.embedder, "embed", no_model)
    job = full.reindex("default")
    service.worker.drain()
    assert full.wait_for(job.id, timeout=1)
    assert len(service.vector_index().ids(cube.id)) == 31


def test_deleting_the_cube_drops_its_index(full, service, clock):
    cube = full.cube("default")
    full.delete_cube("default")
    clock.now += timedelta(seconds=5)
    service.worker.drain()
    assert service.vector_index().ids(cube.id) == set()


def test_a_damaged_index_is_done_without_and_doctor_mends_it(full, service, monkeypatch):
    from memos.errors import IndexUnavailable

    index = service.vector_index()
    broken = {"now": True}
    real_query, real_ids, real_drop = index.query, index.ids, index.drop

    def damaged(real):
        def call(*given, **options):
            if broken["now"]:
                raise IndexUnavailable("the graph file is damaged")
            return real(*given, **options)

        return call

    def drop(cube_id):
        broken["now"] = False
        real_drop(cube_id)

    monkeypatch.setattr(index, "query", damaged(real_query))
    monkeypatch.setattr(index, "ids", damaged(real_ids))
    monkeypatch.setattr(index, "drop", drop)
    hit = full.search("topic17", explain=True).hits[0]
    assert hit.memory.content == "Note 17 is about topic17."
    assert any("damaged" in line for line in hit.why)
    assert [f.repaired for f in full.doctor()] == [False]
    assert [f.repaired for f in full.doctor(repair=True)] == [True]
    assert full.doctor() == ()


def test_a_search_does_not_wait_for_the_index_to_open(full, service):
    again = build(service.settings, embedder=HashEmbedder())
    if service.settings.is_sqlite:
        service.close()
    memos = again.tenant()
    assert memos.search("topic17").hits[0].memory.content == "Note 17 is about topic17."
    again.vector_index()
    assert memos.search("topic17").hits[0].memory.content == "Note 17 is about topic17."
    again.close()


@pytest.mark.parametrize("service", ["sqlite"], indirect=True)
def test_an_index_that_another_process_holds_is_done_without(full, service):
    """Two services on one folder stand for two processes: Chroma's lock is the file's."""
    second = build(service.settings, embedder=HashEmbedder())
    memos = second.tenant()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        hit = memos.search("topic17", explain=True).hits[0]
        assert hit.memory.content == "Note 17 is about topic17."
        if any("vector index" in line for line in hit.why):
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the search never said that it goes without the index")
    second.close()


def test_news_from_before_an_erase_does_not_bring_the_vector_back(full, service, monkeypatch):
    """A sync has read a memory as live; before it writes, the memory is erased."""
    cube = full.cube("default")
    index = service.vector_index()
    target = full.add("A secret about walruses.").memories[0]
    real = index.upsert

    def overtaken(*given, **options):
        monkeypatch.setattr(index, "upsert", real)
        full.forget(target.id, erase=True)
        return real(*given, **options)

    monkeypatch.setattr(index, "upsert", overtaken)
    sync_vectors(service.stores, index, cube.id)
    assert target.id not in index.ids(cube.id)
    assert index.reached(cube.id) == service.stores.feed.last(cube.id)
    assert full.doctor() == ()


def test_a_sync_that_outlives_its_cube_leaves_no_index(full, service, monkeypatch):
    cube = full.cube("default")
    index = service.vector_index()
    index.drop(cube.id)
    real = index.upsert

    def overtaken(*given, **options):
        full.delete_cube("default")
        index.drop(cube.id)
        return real(*given, **options)

    monkeypatch.setattr(index, "upsert", overtaken)
    with pytest.raises(CubeNotFound):
        sync_vectors(service.stores, index, cube.id)
    assert (index.ids(cube.id), index.reached(cube.id)) == (set(), 0)


def test_an_index_held_elsewhere_costs_jobs_and_erases_nothing(full, service, clock):
    """Chroma's folder is one process's. Another writes, erases and reindexes all the same."""
    if not service.settings.is_sqlite:
        return  # any number of processes open pgvector
    other = build(service.settings, embedder=HashEmbedder(), clock=clock)
    memos = other.tenant()
    target = memos.search("topic7").hits[0].memory
    assert memos.forget(target.id, erase=True).state is State.ERASED
    (finding,) = memos.doctor(repair=True)
    assert "not examined: " in finding.problem
    assert not finding.repaired
    job = memos.reindex("default")
    for _ in range(service.settings.job_attempts + 1):
        clock.forward(seconds=3)
        other.worker.drain()
    assert memos.job(job.id).state is JobState.SUCCEEDED
    waiting = [one for one in memos.jobs().items if one.state is not JobState.SUCCEEDED]
    assert {(j.kind, j.state, j.attempts) for j in waiting} == {
        ("vector_sync", JobState.QUEUED, 0),
        ("vector_build", JobState.QUEUED, 0),
    }
    other.close()
    clock.forward(seconds=3)
    service.worker.drain()
    cube = full.cube("default")
    assert target.id not in service.vector_index().ids(cube.id)
    assert full.doctor() == ()


@pytest.mark.parametrize("holder", [None, "4711"])
def test_a_lock_of_another_program_costs_a_sync_nothing_and_a_failure_does(
    full, service, clock, monkeypatch, holder
):
    details = {} if holder is None else {"pid": holder}

    def fails(*_):
        raise StorageUnavailable("no answer", **details)

    index = service.vector_index()
    monkeypatch.setattr(index, "reached", fails)
    full.add("The zeppelin landed.")
    clock.forward(seconds=5)
    service.worker.drain()
    sync = next(job for job in full.jobs(limit=9).items if job.kind == "vector_sync")
    wanted = (JobState.FAILED, 1) if holder is None else (JobState.QUEUED, 0)
    assert (sync.state, sync.attempts) == wanted
    monkeypatch.undo()
    clock.forward(hours=1)
    service.worker.drain()
    assert full.job(sync.id).state is JobState.SUCCEEDED


@pytest.mark.parametrize("error", [StorageUnavailable, StorageFull, IndexUnavailable])
def test_an_erase_that_the_index_can_not_follow_has_its_receipt(
    full, service, clock, monkeypatch, error
):
    def fails(*_, **__):
        raise error("no room")

    memory = full.search("topic3").hits[0].memory
    index = service.vector_index()
    monkeypatch.setattr(index, "delete", fails)
    receipt = full.erase(memory.id)
    assert {one.store: one.done for one in receipt.stores}["vector index"] is False
    monkeypatch.undo()
    clock.forward(seconds=5)
    service.worker.drain()
    assert memory.id not in index.ids(full.cube("default").id)
