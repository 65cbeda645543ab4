import numpy as np
import pytest

from memos.retrieval.packing import packed
from memos.retrieval.projection.dense import top
from memos.retrieval.ranking.diversity import diversified

UNIT = np.eye(3, dtype=np.float32)


def test_relevance_alone_keeps_the_order():
    scores = np.array([0.2, 0.9, 0.5], np.float32)
    chosen = diversified(scores, UNIT[[0, 0, 0]], balance=1.0, limit=3)
    assert chosen.tolist() == [1, 2, 0]


def test_a_copy_waits():
    scores = np.array([1.0, 0.99, 0.5, 0.0], np.float32)
    vectors = UNIT[[0, 0, 1, 2]]
    chosen = diversified(scores, vectors, balance=0.5, limit=3)
    assert chosen.tolist() == [0, 2, 3] or chosen.tolist() == [0, 2, 1]
    assert chosen.tolist()[1] == 2


def test_mmr_of_nothing_and_of_equals():
    assert diversified(np.zeros(0, np.float32), UNIT[:0], balance=0.5, limit=3).tolist() == []
    equal = diversified(np.ones(3, np.float32), UNIT, balance=0.5, limit=9)
    assert sorted(equal.tolist()) == [0, 1, 2]


@pytest.mark.parametrize(
    ("sizes", "budget", "taken"),
    [
        ([5, 5, 5], 10, [0, 1]),
        ([20, 5, 6], 10, [1]),
        ([4, 20, 6], 10, [0, 2]),
        ([], 10, []),
        ([11], 10, []),
        ([10], 10, [0]),
    ],
)
def test_packing(sizes, budget, taken):
    assert packed(sizes, budget) == taken


@pytest.mark.parametrize("count", [0, 1, 63, 64, 1000, 20_000])
@pytest.mark.parametrize("limit", [1, 10, 100])
def test_top_is_a_sorted_prefix(count, limit):
    rng = np.random.default_rng(count + limit)
    scores = rng.integers(0, 50, count).astype(np.float32)  # many ties
    expected = np.argsort(-scores, kind="stable")[:limit]
    assert top(scores, limit).tolist() == expected.tolist()
    above = [i for i in expected.tolist() if scores[i] > 40]
    assert top(scores, limit, above=40).tolist() == above
