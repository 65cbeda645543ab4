from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import pytest

from memos.errors import (
    BatchTooLarge,
    CubeNotFound,
    IdempotencyConflict,
    InvalidInput,
    PayloadTooLarge,
)
from memos.types import Image, JobState, Kind, Message, NewMemory, State


def found(memos, text, **options):
    return [hit.memory.content for hit in memos.search(text, **options).hits]


def test_what_was_added_is_found_at_once(memos):
    added = memos.add("The spare key hangs behind the boiler.")
    assert added.jobs == ()
    assert memos.get(added.memories[0].id).content == "The spare key hangs behind the boiler."
    assert found(memos, "where is the spare key?")[0] == "The spare key hangs behind the boiler."


def test_all_fields_come_back(memos):
    at = datetime(2024, 2, 29, 10, 30, 0, 123456, tzinfo=timezone.utc)
    new = NewMemory(
        content="Ünïcode ✓ 你好",
        kind=Kind.SEMANTIC,
        user_id="u",
        agent_id="a",
        session_id="s",
        speaker="Zoë",
        occurred_at=at,
        place="Łódź",
        images=(Image(url="file:///x.png", caption="a map"),),
        metadata={"n": 1, "deep": {"list": [1, None, True]}},
        priority=0.75,
        expires_at=datetime(2030, 1, 1, tzinfo=timezone.utc),
    )
    memory = memos.get(memos.add(new).memories[0].id)
    for name in NewMemory.__dataclass_fields__:
        if name != "provenance":
            assert getattr(memory, name) == getattr(new, name), name
    assert (memory.state, memory.version) == (State.ACTIVATED, 1)
    assert memory.provenance.actor == "tester"


def test_a_conversation_keeps_its_order(memos):
    turns = [Message(content=f"turn number {n}", speaker="A") for n in range(20)]
    added = memos.add(turns, session_id="s")
    positions = [memory.position for memory in added.memories]
    assert positions == sorted(positions)
    page = memos.memories(session_id="s", limit=50)
    assert [memory.content for memory in page.items] == [turn.content for turn in turns]


def test_an_image_is_found_by_its_caption(memos):
    memos.add([Message(content="Look at this!", images=(Image(caption="a purple bicycle"),))])
    memos.add("Something else entirely.")
    assert found(memos, "purple bicycle")[0] == "Look at this!"


def test_one_bad_item_and_nothing_is_stored(memos):
    with pytest.raises(InvalidInput, match="item 2"):
        memos.add(["good one", "good two", "bad\x00"])
    assert memos.memories().items == ()


@pytest.mark.parametrize("nothing", [[], ()])
def test_nothing_to_add_is_refused(memos, nothing):
    with pytest.raises(InvalidInput, match="nothing to add"):
        memos.add(nothing)


def test_limits(memos):
    with pytest.raises(BatchTooLarge, match="add_batch"):
        memos.add(["x"] * 51)
    with pytest.raises(PayloadTooLarge):
        memos.add("x" * 5001)


def test_an_unknown_cube_is_refused_and_default_is_made(memos):
    with pytest.raises(CubeNotFound, match="nowhere"):
        memos.add("x", cube="nowhere")
    memos.add("x")
    assert [cube.name for cube in memos.cubes().items] == ["default"]


def test_without_waiting_words_find_it_and_a_job_does_the_rest(memos, service):
    added = memos.add("The ferry leaves at dawn.", wait=False)
    assert len(added.jobs) == 1
    assert memos.job(added.jobs[0]).state is JobState.QUEUED
    assert found(memos, "ferry") == ["The ferry leaves at dawn."]
    assert service.worker.drain() >= 1
    assert memos.wait_for(added.jobs[0], timeout=1).state is JobState.SUCCEEDED
    hit = memos.search("when does the ferry leave?").hits[0]
    assert any(part.channel == "dense" for part in hit.breakdown)


def test_a_batch_of_any_size_is_acknowledged_in_parts(memos):
    parts = list(memos.add_batch((f"note {n}" for n in range(25)), batch_size=10))
    assert [part.done for part in parts] == [10, 20, 25]
    ids = [i for part in parts for i in part.ids]
    assert len(set(ids)) == 25
    assert len(memos.memories(limit=100).items) == 25


def test_a_batch_that_fails_keeps_what_it_acknowledged(memos):
    items = [f"note {n}" for n in range(10)] + ["\x00"]
    parts = memos.add_batch(items, batch_size=5)
    assert [next(parts).done, next(parts).done] == [5, 10]
    with pytest.raises(InvalidInput):
        next(parts)
    assert len(memos.memories(limit=100).items) == 10


def test_an_idempotency_key_makes_a_repeat_harmless(memos):
    first = memos.add("once", idempotency_key="k1")
    again = memos.add("once", idempotency_key="k1")
    assert again.memories == first.memories
    assert len(memos.memories().items) == 1
    with pytest.raises(IdempotencyConflict, match="k1"):
        memos.add("another text", idempotency_key="k1")


def test_an_idempotency_key_holds_between_threads(memos):
    memos.add("so that the cube exists")
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: memos.add("one", idempotency_key="k").memories[0].id, range(16))
        )
    assert len(set(answers)) == 1
    assert len(memos.memories().items) == 2


def test_a_long_text_is_found_by_its_end(memos):
    padding = "Minutes of a very ordinary meeting about nothing in particular. " * 60
    memos.add(padding + "Finally the committee bought a trombone.")
    memos.add("The weather was mild.")
    assert found(memos, "trombone")[0].startswith("Minutes")


def test_naive_times_are_refused(memos):
    with pytest.raises(InvalidInput, match="time zone"):
        memos.add("x", occurred_at=datetime(2024, 1, 1))


def test_a_kind_or_state_may_be_given_by_its_text(memos):
    [by_item] = memos.add(NewMemory(content="Teals are ducks.", kind="semantic")).memories
    [by_keyword] = memos.add("Feed the ducks at eight.", kind="procedural").memories
    assert (by_item.kind, by_keyword.kind) == (Kind.SEMANTIC, Kind.PROCEDURAL)
    assert found(memos, "ducks", kinds=["semantic"]) == ["Teals are ducks."]
    listed = memos.memories(kinds=["procedural"], states=["activated"]).items
    assert [memory.id for memory in listed] == [by_keyword.id]


@pytest.mark.parametrize(
    "call",
    [
        lambda memos: memos.add("x", kind="fact"),
        lambda memos: memos.add(NewMemory(content="x", kind="fact")),
        lambda memos: memos.update("0" * 26, kind="fact"),
        lambda memos: memos.search("x", kinds=["fact"]),
        lambda memos: memos.memories(kinds=["fact"]),
        lambda memos: memos.memories(states=["fact"]),
    ],
)
def test_an_unknown_kind_or_state_is_named(memos, call):
    with pytest.raises(InvalidInput, match="'fact'; use one of"):
        call(memos)
