"""Notes and summaries follow the reading of memories."""

import pytest

from memos.assembly import build
from memos.config import load
from memos.errors import NoteNotFound
from memos.service.enriching import jobs as enrichment
from memos.testing import HashEmbedder
from memos.types import JobState, Message, SummaryKind

TALK = [
    Message(content="I live in Porto near the old harbour.", speaker="Ana"),
    Message(content="I live in Bern, and I work for Helvetia.", speaker="Ben"),
    Message(content="My sister Clara lives in Porto too.", speaker="Ana"),
    Message(content="Does Clara work for Helvetia as well?", speaker="Ben"),
    Message(content="Yes, Clara works for Helvetia. She likes sailing.", speaker="Ana"),
]


@pytest.fixture
def settings():
    return {}


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request, clock, settings):
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    made = build(load(database_url=url, **settings), embedder=HashEmbedder(), clock=clock)
    yield made
    made.close()


@pytest.fixture
def settle(service, clock):
    """Lets time pass until nothing is to be done any more."""

    def run(minutes=15):
        for _ in range(minutes):
            clock.forward(minutes=1)
            service.worker.drain()

    return run


def states(memos, kind):
    return {job.state for job in memos.jobs(limit=1000).items if job.kind == kind}


def test_notes_and_summaries_follow_an_add(memos, settle):
    memories = memos.add(TALK, session_id="s").memories
    with pytest.raises(NoteNotFound):
        memos.note(memories[0].id)
    settle()
    assert states(memos, "notes") == states(memos, "summarise") == {JobState.SUCCEEDED}
    assert "porto" in " ".join(memos.note(memories[0].id).keywords).casefold()
    [session] = memos.summaries(kind=SummaryKind.SESSION).items
    assert session.key == "s"
    assert set(session.memory_ids) <= {memory.id for memory in memories}
    communities = memos.summaries(kind="community").items
    names = {
        entity.name
        for entity in memos.entities(limit=100).items
        if any(entity.id in community.entity_ids for community in communities)
    }
    assert {"Ana", "Porto", "Clara"} <= names


def test_a_forgotten_memory_leaves_its_summaries(memos, settle, clock):
    memories = memos.add(TALK, session_id="s").memories
    settle()
    [before] = memos.summaries(kind=SummaryKind.SESSION).items
    told = clock.now
    clock.forward(hours=1)
    gone = before.memory_ids[0]
    memos.forget(gone)
    assert memos.summaries(kind=SummaryKind.SESSION).items == ()
    settle()
    [after] = memos.summaries(kind=SummaryKind.SESSION).items
    assert gone not in after.memory_ids
    assert memos.summaries(kind=SummaryKind.SESSION, known_as_of=told).items == (before,)
    assert len(memories) == len(TALK)


def test_given_facts_get_notes_too(memos, settle):
    added = memos.add_facts([{"subject": "Clara", "predicate": "lives_in", "object": "Lisbon"}])
    settle()
    assert memos.note(added.memory_ids[0]).keywords
    [fact] = memos.facts(subject="Clara").items
    assert fact.object.name == "Lisbon"


@pytest.mark.parametrize("settings", [{"notes": False}])
def test_notes_can_be_switched_off(memos, settle):
    memories = memos.add(TALK, session_id="s").memories
    memos.forget(memories[0].id)
    settle()
    assert states(memos, "notes") == set()
    assert states(memos, "summarise") == {JobState.SUCCEEDED}
    with pytest.raises(NoteNotFound):
        memos.note(memories[1].id)


def test_notes_wait_for_vectors_but_not_for_ever(memos, service, settle, clock, monkeypatch):
    monkeypatch.setattr(enrichment, "_ROUNDS", 2)
    late = memos.add("The ferry leaves at dawn.", wait=False)
    index = late.jobs[0]
    real = service.worker._handlers["index"]

    def broken(context):
        raise ValueError("no model")

    service.worker._handlers["index"] = broken
    settle(5)
    assert states(memos, "notes") >= {JobState.FAILED}
    [failed] = [j for j in memos.jobs(states=[JobState.FAILED]).items if j.kind == "notes"]
    assert "memos reindex default" in failed.error
    service.worker._handlers["index"] = real
    for job in (index, failed.id):
        if memos.job(job).state is JobState.DEAD:
            memos.retry_job(job)
    settle()
    assert memos.job(index).state is JobState.SUCCEEDED
    assert memos.note(late.memories[0].id).keywords


def test_summaries_can_be_asked_for(memos, service, settle):
    memos.add(TALK, session_id="s")
    settle()
    before = memos.summaries(limit=100).items
    job = memos.summarise()
    service.worker.drain()
    assert memos.job(job.id).state is JobState.SUCCEEDED
    # What comes out the same stays as it is.
    assert memos.summaries(limit=100).items == before


def test_a_deleted_cube_ends_its_jobs(memos, service, clock):
    memos.create_cube("short")
    memos.add(TALK, cube="short", session_id="s")
    memos.summarise(cube="short")
    memos.delete_cube("short")
    clock.forward(minutes=5)
    service.worker.drain()
    assert {job.state for job in memos.jobs(limit=100).items if job.cube_id} <= {
        JobState.CANCELLED,
        JobState.SUCCEEDED,
    }
