from concurrent.futures import ThreadPoolExecutor

import pytest

from memos.errors import InvalidInput, MemoryNotFound, StateConflict, VersionConflict
from memos.types import State


def contents(memos, text):
    return [hit.memory.content for hit in memos.search(text).hits]


@pytest.fixture
def boat(memos):
    return memos.add("Our boat is called Heron.", metadata={"a": 1}).memories[0]


def test_an_update_is_a_new_version_and_search_sees_it(memos, boat, clock):
    clock.forward(hours=1)
    new = memos.update(boat.id, content="Our boat is called Osprey.", reason="renamed")
    assert (new.version, new.content) == (2, "Our boat is called Osprey.")
    assert new.updated_at > boat.updated_at
    assert new.position == boat.position
    assert contents(memos, "osprey") == ["Our boat is called Osprey."]
    assert memos.search("heron").hits == () or contents(memos, "heron") == [new.content]


def test_an_update_without_new_text_stays_found(memos, boat):
    new = memos.update(boat.id, metadata={"b": 2}, place="Genoa")
    assert (new.metadata, new.place, new.content) == ({"b": 2}, "Genoa", boat.content)
    hit = memos.search("what is the boat called?", filter={"b": 2}).hits[0]
    assert hit.memory == new
    assert not memos.doctor()


def test_history_is_append_only(memos, boat):
    memos.update(boat.id, content="Osprey", reason="renamed")
    memos.forget(boat.id, reason="sold")
    memos.restore(boat.id)
    versions = memos.history(boat.id)
    assert [v.operation for v in versions] == ["add", "update", "forget", "restore"]
    assert [v.version for v in versions] == [1, 2, 3, 4]
    assert versions[0].memory.content == "Our boat is called Heron."
    assert (versions[1].reason, versions[1].actor) == ("renamed", "tester")


def test_an_update_of_what_has_changed_is_refused(memos, boat):
    memos.update(boat.id, content="two", if_version=1)
    with pytest.raises(VersionConflict) as caught:
        memos.update(boat.id, content="three", if_version=1)
    assert caught.value.details == {"expected": 1, "actual": 2}
    assert memos.get(boat.id).content == "two"


WRITES = {
    "update": lambda m, id, **at: m.update(id, content="Osprey", **at),
    "forget": lambda m, id, **at: m.forget(id, **at),
    "archive": lambda m, id, **at: m.archive(id, **at),
    "freeze": lambda m, id, **at: m.freeze(id, **at),
    "expire": lambda m, id, **at: m.expire(id, **at),
    "rollback": lambda m, id, **at: m.rollback(id, 1, **at),
    "erase": lambda m, id, **at: m.erase(id, **at),
}


@pytest.fixture
def between(service, monkeypatch):
    """`between(do)`: once, after a memory was read for a change and before that is written."""

    def arrange(do):
        for name in ("replace_all", "erase"):
            written = getattr(service.stores.memories, name)

            def late(*args, written=written, **fields):
                monkeypatch.undo()
                do()
                return written(*args, **fields)

            monkeypatch.setattr(service.stores.memories, name, late)

    return arrange


@pytest.mark.parametrize("name", WRITES)
def test_a_write_without_a_condition_goes_onto_what_came_between(memos, boat, between, name):
    between(lambda: memos.update(boat.id, metadata={"b": 2}))
    WRITES[name](memos, boat.id)
    operations = [entry.operation for entry in memos.history(boat.id)]
    assert operations == ["add", "update", name]
    if name in ("update", "freeze"):
        assert memos.get(boat.id).metadata == {"b": 2}


@pytest.mark.parametrize("name", WRITES)
def test_a_condition_is_asked_where_the_write_is_done(memos, boat, between, name):
    between(lambda: memos.update(boat.id, metadata={"b": 2}))
    with pytest.raises(VersionConflict) as caught:
        WRITES[name](memos, boat.id, if_version=1)
    assert caught.value.details == {"expected": 1, "actual": 2}
    assert [entry.operation for entry in memos.history(boat.id)] == ["add", "update"]
    assert memos.get(boat.id).metadata == {"b": 2}


@pytest.mark.parametrize("condition", ["1", True, 1.0])
def test_a_condition_is_a_whole_number(memos, boat, condition):
    with pytest.raises(InvalidInput, match="whole number"):
        memos.update(boat.id, content="Osprey", if_version=condition)


def test_a_restore_goes_onto_what_came_between(memos, boat, between):
    memos.forget(boat.id)
    between(lambda: memos.expire(boat.id))
    assert memos.restore(boat.id).state is State.ACTIVATED
    operations = [entry.operation for entry in memos.history(boat.id)]
    assert operations == ["add", "forget", "expire", "restore"]


@pytest.mark.parametrize("condition", [{}, {"if_version": 1}])
def test_of_two_erases_at_once_one_is_the_erase(memos, boat, between, condition):
    between(lambda: memos.erase(boat.id))
    with pytest.raises(VersionConflict if condition else MemoryNotFound):
        memos.erase(boat.id, **condition)
    assert [entry.operation for entry in memos.history(boat.id)] == ["add", "erase"]


def test_a_crowd_that_writes_one_memory_is_not_refused(memos, boat):
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: memos.update(boat.id, metadata={"n": n}), range(40)))
    assert sorted(memory.version for memory in done) == list(range(2, 42))
    assert {memory.metadata["n"] for memory in done} == set(range(40))


def test_a_bad_update_changes_nothing(memos, boat):
    for bad in ({"content": ""}, {"content": "a\x00"}, {"priority": 2}, {"metadata": {"x": {1}}}):
        with pytest.raises(InvalidInput):
            memos.update(boat.id, **bad)
    with pytest.raises(InvalidInput, match="nothing to update"):
        memos.update(boat.id)
    assert memos.get(boat.id) == boat
    assert len(memos.history(boat.id)) == 1


def test_forget_takes_it_out_of_search_and_restore_brings_it_back(memos, boat):
    assert memos.forget(boat.id).state is State.ARCHIVED
    assert contents(memos, "boat") == []
    assert memos.memories().items == ()
    assert memos.memories(states=[State.ARCHIVED]).items[0].id == boat.id
    with pytest.raises(StateConflict):
        memos.update(boat.id, content="x")
    assert memos.restore(boat.id).state is State.ACTIVATED
    assert contents(memos, "boat") == [boat.content]
    with pytest.raises(StateConflict):
        memos.restore(boat.id)


def test_erase_leaves_a_tombstone_without_content(memos, boat):
    other = memos.add("The anchor is new.").memories[0]
    memos.link(boat.id, other.id)
    memos.update(boat.id, content="Our boat is called Osprey.")
    gone = memos.forget(boat.id, erase=True, reason="asked to")
    assert (gone.state, gone.content, dict(gone.metadata)) == (State.ERASED, "", {})
    with pytest.raises(MemoryNotFound):
        memos.get(boat.id)
    assert contents(memos, "boat osprey heron") in ([], [other.content])
    assert all(v.memory is None for v in memos.history(boat.id))
    assert memos.history(boat.id)[-1].operation == "erase"
    assert memos.links(other.id) == ()
    for verb in (memos.forget, memos.restore):
        with pytest.raises(MemoryNotFound):
            verb(boat.id)
    assert not memos.doctor()


@pytest.mark.parametrize("verb", ["get", "forget", "restore", "history", "links"])
def test_an_unknown_memory_is_an_error(memos, verb):
    memos.add("x")
    with pytest.raises(MemoryNotFound, match="01ARZ3NDEKTSV4RRFFQ69G5FAV"):
        getattr(memos, verb)("01ARZ3NDEKTSV4RRFFQ69G5FAV")


def test_links_go_both_ways_and_only_once(memos, boat):
    other = memos.add("Moored in Genoa.").memories[0]
    link = memos.link(boat.id, other.id, relation="located", reason="same boat")
    assert memos.link(boat.id, other.id, relation="located") == link
    assert memos.links(other.id) == memos.links(boat.id) == (link,)
    memos.unlink(link.id)
    assert memos.links(boat.id) == ()
    with pytest.raises(MemoryNotFound):
        memos.link(boat.id, "01ARZ3NDEKTSV4RRFFQ69G5FAV")


def test_an_expired_memory_is_not_found(memos, clock):
    memos.add("The code is 4711.", expires_at=clock.now.replace(hour=13))
    assert contents(memos, "code") == ["The code is 4711."]
    clock.forward(hours=2)
    assert contents(memos, "code") == []
    assert memos.memories().items == ()
