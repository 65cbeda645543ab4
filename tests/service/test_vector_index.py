"""The service with a vector index: Chroma beside SQLite, pgvector beside PostgreSQL."""

import time
from datetime import timedelta

import pytest

from memos.assembly import build
from memos.testing import HashEmbedder


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


def test_an_index_that_another_process_holds_is_done_without(full, service):
    """Two services on one folder stand for two processes: Chroma's lock is the file's."""
    if not service.settings.is_sqlite:
        return
    second = build(service.settings, embedder=HashEmbedder())
    memos = second.tenant()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        hit = memos.search("topic17", explain=True).hits[0]
        assert hit.memory.content == "Note 17 is about topic17."
        if any("vector index" in line for line in hit.why):
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the search never said that it goes without the index")
    second.close()
