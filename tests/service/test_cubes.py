from functools import partial

import pytest

from memos.errors import (
    AlreadyExists,
    CubeNotFound,
    EmbeddingModelChanged,
    InvalidCursor,
    InvalidInput,
    JobNotFound,
    MemoryNotFound,
    NotAuthenticated,
    WaitTimeout,
)
from memos.service import MemoryOS
from memos.testing import HashEmbedder
from memos.types import JobState, Role


def test_make_list_describe_delete(memos, service):
    cube = memos.create_cube("work", description="at work", metadata={"team": 1})
    assert memos.cube("work") == memos.cube(cube.id) == cube
    with pytest.raises(AlreadyExists):
        memos.create_cube("work")
    memos.add(["one", "two"], cube="work", session_id="s")
    about = memos.describe_cube("work")
    assert (about.memories, about.sessions) == (2, 1)
    assert about.by_kind == {"episodic": 2}
    assert about.text_bytes >= 6
    assert about.vector_bytes == 2 * 64 * 4
    memos.delete_cube("work")
    with pytest.raises(CubeNotFound):
        memos.search("one", cube="work")
    service.worker.drain()
    assert all(job.state is JobState.SUCCEEDED for job in memos.jobs().items)


def test_pages_of_cubes_and_memories(memos):
    for n in range(5):
        memos.create_cube(f"c{n}")
    first = memos.cubes(limit=2)
    second = memos.cubes(limit=2, cursor=first.next_cursor)
    third = memos.cubes(limit=2, cursor=second.next_cursor)
    names = [c.name for page in (first, second, third) for c in page.items]
    assert names == [f"c{n}" for n in range(5)]
    assert third.next_cursor is None
    memos.add([f"note {n}" for n in range(7)], cube="c0", metadata={"even": True})
    seen, cursor = [], None
    while True:
        page = memos.memories(cube="c0", limit=3, cursor=cursor, filter={"even": True})
        seen += [m.content for m in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [f"note {n}" for n in range(7)]
    with pytest.raises(InvalidCursor):
        memos.memories(cube="c1", cursor=memos.memories(cube="c0", limit=3).next_cursor)
    with pytest.raises(InvalidInput):
        memos.memories(limit=0)


def test_tenants_do_not_see_each_other(service, memos):
    other = service.tenant("other")
    memory = memos.add("mine", cube="default").memories[0]
    job = memos.add("later", wait=False).jobs[0]
    mine = memos.cube("default")
    other.add("theirs")
    with pytest.raises(CubeNotFound):
        other.get(memory.id, cube=mine.id)
    with pytest.raises(MemoryNotFound):
        other.get(memory.id)
    with pytest.raises(JobNotFound):
        other.job(job)
    assert [h.memory.content for h in other.search("mine").hits] in ([], ["theirs"])
    assert other.jobs().items == ()


def test_keys(service, memos):
    first = service.first_key()
    assert first.key.role is Role.ADMIN
    assert service.first_key() is None
    assert service.authenticate(first.secret) == first.key
    memos.create_cube("only")
    limited = memos.create_key("limited", role=Role.READER, cubes=["only"])
    assert limited.key.cubes == (memos.cube("only").id,)
    assert {key.name for key in (*memos.keys(),)} == {"first", "limited"}
    memos.revoke_key(limited.key.id)
    for secret in (limited.secret, "memos_wrong", "", "\ud800"):
        with pytest.raises(NotAuthenticated):
            service.authenticate(secret)


def test_waiting_for_a_job_ends(memos):
    job = memos.add("x", wait=False).jobs[0]
    with pytest.raises(WaitTimeout, match="queued"):
        memos.wait_for(job, timeout=0.05)
    with pytest.raises(JobNotFound):
        memos.wait_for("01ARZ3NDEKTSV4RRFFQ69G5FAV")


class OtherEmbedder(HashEmbedder):
    """The same fake under another digest: another model."""

    @property
    def model(self):
        from dataclasses import replace

        return replace(super().model, digest="f" * 64)


def test_another_model_is_refused_until_the_cube_is_embedded_anew(service, memos, clock):
    from memos.assembly import cached_signer, open_states
    from memos.service import Service

    memos.add(["the lighthouse", "the harbour"])
    other = Service(
        service.settings,
        service.stores,
        OtherEmbedder(),
        open_vector_index=None,
        open_states=partial(open_states, service.settings),
        signer=cached_signer(service.settings),
        clock=clock,
        new_id=service.new_id,
    )
    changed = MemoryOS(other, "default")
    with pytest.raises(EmbeddingModelChanged, match="reindex --embed default"):
        changed.search("lighthouse")
    with pytest.raises(EmbeddingModelChanged):
        changed.add("a third")
    assert changed.doctor()[0].check == "embedding-model"
    job = changed.reindex("default", embed=True)
    other.worker.drain()
    assert changed.wait_for(job.id, timeout=1).state is JobState.SUCCEEDED
    assert changed.search("lighthouse").hits[0].memory.content == "the lighthouse"
    assert not changed.doctor()
