"""With a vector index: it proposes, and whatever state it is in, nothing is lost or stale."""

import numpy as np
import pytest

from memos.errors import IndexUnavailable
from tests.retrieval.world import World

SUBJECTS = ["dog", "cat", "heron", "cello", "bicycle", "orchard", "violin", "kettle", "ladder"]


class Index:
    """Exact neighbours of what it was last given, and the number it reached."""

    def __init__(self) -> None:
        self.vectors: dict[str, np.ndarray] = {}
        self.at = 0
        self.queries: list[int] = []
        self.broken = False

    def catch_up(self, world: World) -> None:
        self.vectors = {id: v for id, v in world.vectors.items() if v is not None}
        self.at = world.seq

    def reached(self, cube_id: str) -> int:
        if self.broken:
            raise IndexUnavailable("the index file is damaged")
        return self.at

    def query(self, cube_id: str, vector, *, limit: int):
        self.queries.append(limit)
        order = sorted(self.vectors, key=lambda id: -float(self.vectors[id] @ vector))
        return [(id, float(self.vectors[id] @ vector)) for id in order[:limit]]


@pytest.fixture
def index() -> Index:
    return Index()


@pytest.fixture
def world(index: Index) -> World:
    world = World(index=index, vector_index_min=100)
    for i in range(400):
        word, other = SUBJECTS[i % 9], SUBJECTS[(i // 9) % 9]
        world.add(f"{word} and {other} story {i}", user_id=f"u{i % 20}", metadata={"n": i})
    index.catch_up(world)
    return world


def exactly(world: World, text: str, **fields) -> list[str]:
    world.searcher, kept = world.new_searcher(), world.searcher
    try:
        return world.ids(text, **fields)
    finally:
        world.searcher = kept


def test_the_index_gives_what_exact_search_gives(world, index):
    for text in ("heron story", "kettle and ladder", "who plays the cello"):
        assert world.ids(text) == exactly(world, text)
    assert len(index.queries) == 3


def test_what_changed_after_the_index_was_built_counts(world, index):
    new = world.add("a xylophone recital")
    changed = sorted(world.memories)[7]
    world.change(changed, content="another xylophone recital")
    gone = sorted(world.memories)[9]
    world.forget(gone)
    found = world.ids("xylophone recital", limit=2)
    assert set(found) == {new, changed}
    assert gone not in world.ids("story", limit=200)
    assert world.ids("xylophone") == exactly(world, "xylophone")
    assert index.queries


def test_a_vector_newer_than_the_index_counts(world, index):
    # No word in common with the query: only the vector can find it.
    new = world.add("qqq")
    world.vectors[new] = world.embedder.embed(["heron story"])[0]
    changed = sorted(world.memories)[11]
    world.change(changed, content="rrr")
    world.vectors[changed] = world.vectors[new]
    shares = {share.channel: share for share in world.hit("heron story", new, limit=100).breakdown}
    assert shares["dense"].raw == pytest.approx(1.0, abs=1e-5)
    assert shares["lexical"].raw == 0
    assert world.hit("heron story", changed, limit=100)
    assert index.queries


def test_an_index_that_lags_far_is_not_asked(world, index):
    index.at = 0
    assert world.ids("heron story") == exactly(world, "heron story")
    assert index.queries == []


def test_an_index_of_a_later_database_is_not_asked(world, index):
    # Restored from before: the vectors it has may be those of other texts.
    index.at = world.seq + 1
    index.vectors = {id: -vector for id, vector in index.vectors.items()}
    assert world.ids("heron story") == exactly(world, "heron story")
    assert index.queries == []


def test_ids_that_the_cube_does_not_know_are_passed_over(world, index):
    vector = index.vectors[sorted(index.vectors)[0]]
    index.vectors |= {f"ghost{i}": vector for i in range(10)}
    assert world.ids("dog story") == exactly(world, "dog story")


def test_narrow_scopes_are_searched_exactly(world, index):
    assert world.ids("heron", user_id="u2") == exactly(world, "heron", user_id="u2")
    assert index.queries == []


def test_a_wide_filter_asks_the_index_for_more(world, index):
    fields = {"filter": {"n": {"lt": 200}}}
    assert world.ids("heron story", **fields) == exactly(world, "heron story", **fields)
    assert index.queries[0] > 100


def test_an_index_that_knows_too_few_of_those_allowed_is_not_relied_on(world, index):
    index.vectors = {id: v for id, v in index.vectors.items() if id > "m00350"}
    fields = {"filter": {"n": {"lt": 200}}}
    assert world.ids("heron story", **fields) == exactly(world, "heron story", **fields)


def test_a_broken_index_degrades_to_exact_search_and_says_so(world, index, caplog):
    index.broken = True
    result = world.search("heron story", explain=True)
    assert [hit.memory.id for hit in result.hits] == exactly(world, "heron story")
    assert all("damaged" in hit.why[-1] for hit in result.hits)
    assert "damaged" in caplog.text


def test_small_cubes_do_not_open_the_index():
    world = World(index=None, vector_index_min=100)
    world.searcher = world.new_searcher(vector_index_min=100)
    world.add("dog")
    assert len(world.ids("dog")) == 1
