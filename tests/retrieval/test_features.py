"""Features, one at a time: what raises or lowers them."""

from datetime import timedelta

import numpy as np
import pytest

from memos.retrieval.ranking.features import CHANNELS
from memos.types import Search
from tests.retrieval.world import NOW, World

NAMES = list(CHANNELS)


class Seen:
    """The features of all candidates of one query, by memory and name."""

    def __init__(self, world: World, text: str) -> None:
        self._found = world.searcher.examine(world.cube, text)

    def of(self, memory_id: str, name: str) -> float:
        row = self._found.ids.index(memory_id)
        return float(self._found.matrix[row, NAMES.index(name)])


@pytest.fixture
def world() -> World:
    world = World()
    for i in range(30):
        world.add(f"the kettle sings number {i}", session_id=f"s{i}")
    return world


def test_one_column_for_each_feature(world):
    found = world.searcher.examine(world.cube, "who plays the cello?")
    assert found.matrix.shape == (len(found.ids), len(NAMES))
    assert np.isfinite(found.matrix).all()
    assert found.graph.shape == (len(found.ids),)


def test_coverage_counts_the_memory_before_but_not_after(world):
    asked = world.add("Which instrument do you play?", session_id="music")
    answer = world.add("Since childhood the cello", session_id="music")
    later = world.add("I see", session_id="music")
    seen = Seen(world, "Which instrument is played?")
    assert seen.of(asked, "coverage") == pytest.approx(1)
    assert seen.of(answer, "coverage") == pytest.approx(1)
    assert seen.of(later, "coverage") == 0
    assert seen.of(asked, "coverage after") == 0
    assert seen.of(answer, "answers") == pytest.approx(1)
    assert seen.of(later, "answers") == 0
    before = world.add("Well", session_id="late")
    world.add("My instrument is the cello", session_id="late")
    seen = Seen(world, "Which instrument is played?")
    assert 0 < seen.of(before, "coverage after") < 1


def test_words_near_in_meaning_count_own_before_and_after(world):
    before = world.add("Yes", session_id="art")
    near = world.add("Leisure means clay to me", session_id="art")
    behind = world.add("Lovely", session_id="art")
    same = world.add("My hobby is a secret", session_id="other")
    seen = Seen(world, "Which hobby?")
    assert seen.of(same, "kin") == pytest.approx(1)
    assert 0 < seen.of(near, "kin") < 1
    assert seen.of(near, "kin") == seen.of(near, "kin before")
    assert seen.of(behind, "kin") == 0
    assert seen.of(behind, "kin before") == pytest.approx(seen.of(near, "kin"))
    assert seen.of(before, "kin after") == pytest.approx(seen.of(near, "kin"))
    assert seen.of(near, "kin after") == 0
    world.add("It is called the hobby horse")
    assert Seen(world, "Which hobby?").of(near, "kin") == pytest.approx(seen.of(near, "kin"))


def test_a_query_or_a_memory_without_words_is_kin_to_nothing(world):
    bare = world.add("...")
    seen = Seen(world, "kettle")
    assert seen.of(bare, "kin") == 0
    found = world.searcher.examine(world.cube, "???")
    assert np.isfinite(found.matrix).all()


def test_terms_beside_each_other_are_pairs(world):
    near = world.add("a red sailing boat at dawn")
    apart = world.add("sailing at dawn in a boat that is red")
    seen = Seen(world, "the red sailing boat")
    assert seen.of(near, "pairs") == 2
    assert seen.of(apart, "pairs") == 0


def test_the_rarest_term_of_a_memory_counts(world):
    rare = world.add("the kettle sings of a narwhal")
    seen = Seen(world, "kettle")
    common = seen.of(sorted(world.memories)[0], "rarest")
    assert seen.of(rare, "rarest") == pytest.approx(1)
    assert common <= 1


def test_days_from_the_time_that_is_named(world):
    march = NOW.replace(month=3, day=10)
    inside = world.add("We went sailing", occurred_at=march)
    near = world.add("We went sailing again", occurred_at=march.replace(month=4, day=3))
    timeless = world.add("We went sailing once")
    seen = Seen(world, "sailing in March 2024")
    assert seen.of(inside, "days off") == 0
    assert seen.of(near, "days off") == pytest.approx(np.log1p(2.5), abs=0.1)
    assert seen.of(timeless, "days off") == pytest.approx(np.log1p(365))
    assert Seen(world, "sailing").of(near, "days off") == 0


def test_days_from_the_time_that_is_spoken_of(world):
    told = world.add("We went sailing last month", occurred_at=NOW.replace(month=4, day=3))
    other = world.add("We went sailing yesterday", occurred_at=NOW.replace(month=4, day=3))
    none = world.add("We went sailing", occurred_at=NOW.replace(month=3, day=3))
    seen = Seen(world, "sailing in March 2024")
    assert seen.of(told, "days spoken off") == 0
    assert 0 < seen.of(other, "days spoken off") < 2
    assert seen.of(none, "days spoken off") == pytest.approx(np.log1p(365))
    assert Seen(world, "When did you sail?").of(told, "when*spoken") == 1
    assert Seen(world, "When did you sail?").of(none, "when*spoken") == 0
    assert Seen(world, "Who went sailing?").of(told, "when*spoken") == 0


def test_speakers_count_half_where_several_are_named(world):
    anna = world.add("I like the kettle", speaker="Anna")
    bo = world.add("I like the kettle too", speaker="Bo")
    assert Seen(world, "What does Anna like?").of(anna, "speaker") == 1
    assert Seen(world, "What does Anna like?").of(bo, "speaker") == -1
    assert Seen(world, "What did Anna tell Bo?").of(anna, "speaker") == 0.5
    assert Seen(world, "What did Anna tell Bo?").of(bo, "speaker") == -0.5
    assert Seen(world, "What do Anna and Bo like?").of(anna, "speaker") == 0


def test_the_best_of_a_session_is_not_below_it(world):
    best = world.add("I play the cello", session_id="music")
    other = world.add("I play too", session_id="music")
    alone = world.add("somebody plays")
    seen = Seen(world, "Who plays the cello?")
    assert seen.of(best, "session gap") == 0
    assert seen.of(other, "session gap") < 0
    assert seen.of(alone, "session gap") == 0


def test_a_document_costs_no_more_than_its_beginning(world):
    long = world.add("kettle " * 5000 + "narwhal")
    assert Seen(world, "kettle").of(long, "rarest") < 1


def test_examined_features_are_those_that_rank(world):
    world.add("I play the cello", speaker="Anna", occurred_at=NOW - timedelta(days=3))
    text = "When does Anna play the cello?"
    found = world.searcher.examine(world.cube, text)
    fit = world.searcher.gathering.fit
    scores = fit.base * found.base + found.matrix @ fit.vector()
    order = [found.ids[i] for i in np.argsort(-scores, kind="stable")]
    result = world.searcher.search(world.cube, Search(text=text, limit=5))
    assert [hit.memory.id for hit in result.hits] == order[:5]
