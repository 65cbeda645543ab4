"""The projection is what the truth is, however it came there."""

import random
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memos.errors import CubeNotFound, EmbeddingModelChanged, StorageUnavailable
from memos.retrieval.projection.projection import Projection, Projections
from memos.types import State
from tests.retrieval.world import CUBE, World

WORDS = ["alpha", "beta", "gamma", "delta"]


def seen(projection: Projection) -> dict[str, object]:
    """All that a search can see of each memory, by id."""
    size = projection.columns.size
    lexical, timeline = projection.lexical, projection.timeline
    found = lexical.find(WORDS)
    turns = lexical.turns(found, size)
    windows = lexical.windows(found, timeline, size)
    chains = projection.columns.chain.codes
    sessions = lexical.sessions(found, chains, size)
    query = np.ones(64, np.float32)
    everyone = np.arange(size)
    dense = projection.vectors.windows(everyone, query, timeline)
    name = dict(enumerate(projection.ids)) | {-1: None}
    return {
        name[row]: (
            name[int(timeline.before[row])],
            name[int(timeline.after[row])],
            round(float(turns[row]), 4),
            round(float(windows[row]), 4),
            round(float(sessions[chains[row]]), 4),
            round(float(dense[row]), 4),
            bool(lexical.asks[row]),
            int(projection.columns.version[row]),
            projection.columns.texts["speaker"].values[
                projection.columns.texts["speaker"].codes[row]
            ],
        )
        for row in np.flatnonzero(projection.columns.live[:size]).tolist()
    }


texts = st.lists(st.sampled_from([*WORDS, "?"]), min_size=1, max_size=4).map(" ".join)
steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "add", "text", "move", "forget", "restore", "refresh"]),
        texts,
        st.sampled_from([None, "s1", "s2"]),
        st.sampled_from([None, "u1", "u2"]),
        st.integers(0, 9),
    ),
    max_size=30,
)


def do(world: World, step) -> None:
    verb, text, session, user, pick = step
    known = sorted(world.memories)
    if verb == "add":
        world.add(text, session_id=session, user_id=user, speaker=user, vector=pick > 1)
    elif known:
        id = known[pick % len(known)]
        if verb == "text":
            world.change(id, content=text)
        elif verb == "move":
            world.change(id, session_id=session, user_id=user)
        elif verb == "forget":
            world.forget(id)
        elif verb == "restore":
            world.change(id, state=State.ACTIVATED)


@given(steps)
def test_incremental_equals_rebuilt(steps):
    world = World()
    kept = Projections(world, 1 << 30)
    for step in steps:
        do(world, step)
        if step[0] == "refresh":
            with kept.fresh(CUBE):
                pass
    with kept.fresh(CUBE) as grown, Projections(world, 1 << 30).fresh(CUBE) as built:
        assert seen(grown) == seen(built)
        assert len(grown) == len(built)
        assert grown.speakers().names == built.speakers().names


@pytest.mark.parametrize("page", [1, 7, 5000])
def test_pages_do_not_matter(page, monkeypatch):
    monkeypatch.setattr("memos.retrieval.projection.projection.PAGE", page)
    world = World()
    random.seed(3)
    for i in range(60):
        world.add(random.choice(WORDS), session_id=f"s{i % 3}")
    for id in random.sample(sorted(world.memories), 20):
        world.change(id, content="beta gamma")
    with Projections(world, 1 << 30).fresh(CUBE) as paged:
        whole = Projection()
        whole.apply(world.changes(CUBE, after=0))
        assert seen(paged) == seen(whole)


def test_many_changes_at_once_equal_many_single_ones():
    world, slow = World(), Projection()
    for i in range(300):
        world.add(f"{WORDS[i % 4]} {WORDS[i % 3]}", session_id=f"s{i % 7}")
        slow.apply(world.changes(CUBE, after=slow.seq))
    fast = Projection()
    fast.apply(world.changes(CUBE, after=0))
    assert seen(fast) == seen(slow)


def test_rows_are_used_again():
    world = World()
    ids = [world.add("alpha") for _ in range(10)]
    projections = Projections(world, 1 << 30)
    for _ in range(5):
        for id in ids:
            world.change(id, content="beta")
        with projections.fresh(CUBE) as projection:
            assert projection.columns.size == 10


def test_only_what_changed_is_asked_for():
    world = World()
    world.add("alpha")
    projections = Projections(world, 1 << 30)
    for _ in range(3):
        with projections.fresh(CUBE):
            pass
    world.add("beta")
    with projections.fresh(CUBE) as projection:
        assert len(projection) == 2
    assert world.asked == [0, 1]


def test_the_least_recently_used_goes_when_memory_runs_short():
    world = World()
    for _ in range(200):
        world.add("alpha beta")
    projections = Projections(world, 1 << 20)
    with projections.fresh("a") as one:
        size = one.nbytes
    roomy = Projections(world, int(size * 2.5))
    for cube in ("a", "b", "a", "c"):  # b is the oldest when c comes
        with roomy.fresh(cube):
            pass
    assert roomy.usage()["projections"] == 2
    assert roomy.usage()["projection_bytes"] <= size * 2.5
    loads = world.asked.count(0)
    with roomy.fresh("a"):
        pass
    assert world.asked.count(0) == loads
    with roomy.fresh("b"):
        pass
    assert world.asked.count(0) == loads + 1


def test_one_beyond_the_budget_is_still_searched():
    world = World()
    world.add("alpha")
    with Projections(world, 1).fresh(CUBE) as projection:
        assert len(projection) == 1


def test_a_restored_backup_is_noticed():
    world = World()
    first = world.add("alpha")
    world.add("beta")
    projections = Projections(world, 1 << 30)
    with projections.fresh(CUBE):
        pass
    for id in sorted(world.memories)[1:]:
        del world.memories[id], world.seqs[id]
    world.seq = 1
    with projections.fresh(CUBE) as projection:
        assert [id for id in projection.ids if id] == [first]


def test_a_cube_that_is_gone_is_forgotten():
    world = World()
    world.add("alpha")
    projections = Projections(world, 1 << 30)
    with projections.fresh(CUBE):
        pass
    world.gone = True
    with pytest.raises(CubeNotFound), projections.fresh(CUBE):
        pass
    assert projections.usage()["projections"] == 0


def test_an_error_half_way_leaves_nothing_wrong_behind(monkeypatch):
    monkeypatch.setattr("memos.retrieval.projection.projection.PAGE", 10)
    world = World()
    for i in range(30):
        world.add(WORDS[i % 4], session_id="s")
    projections = Projections(world, 1 << 30)
    changes = world.changes

    def failing(cube_id, *, after, limit=5000):
        if after >= 20:
            raise StorageUnavailable("the database is away")
        return changes(cube_id, after=after, limit=limit)

    world.changes = failing
    for _ in range(2):
        with pytest.raises(StorageUnavailable), projections.fresh(CUBE):
            pass
    world.changes = changes
    with projections.fresh(CUBE) as after, Projections(world, 1 << 30).fresh(CUBE) as built:
        assert seen(after) == seen(built)


def test_vectors_of_other_dimensions_are_refused():
    world = World()
    world.add("alpha")
    change = world.changes(CUBE, after=0)[0]
    projection = Projection()
    projection.apply([change])
    other = replace(change, seq=2, memory_id="x", vector=np.ones(3, np.float32))
    with pytest.raises(EmbeddingModelChanged, match="reindex"):
        projection.apply([other])
    assert len(projection) == 1


def test_readers_see_whole_states_while_a_writer_works():
    world = World()
    for _ in range(20):
        world.add("alpha", session_id="s")
    projections = Projections(world, 1 << 30)
    wrong: list[object] = []
    done, begun = threading.Event(), threading.Barrier(4)

    def read() -> None:
        begun.wait(60)
        while not done.is_set():
            least = world.seq
            with projections.fresh(CUBE) as projection:
                live = int(projection.columns.live[: projection.columns.size].sum())
                if len(projection) != live or projection.seq < least:
                    wrong.append((len(projection), live, projection.seq, least))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        begun.wait(60)
        for _ in range(150):
            world.add("beta", session_id="s")
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert wrong == []
