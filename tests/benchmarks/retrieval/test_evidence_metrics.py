"""Every metric against values worked out by hand."""

import math

import numpy as np
import pytest

from memos.benchmarks.retrieval import evidence_metrics
from memos.benchmarks.retrieval.evidence_metrics import bootstrap, score, summarise

RANKED = ["D1:1", "D2:3", "D1:2", "D3:1", "D2:4", "D4:1", "D5:1", "D6:1", "D7:1", "D8:1", "D2:9"]


def test_recall_any_and_all_count_the_first_k():
    found = score(RANKED, ["D2:3", "D2:9"])
    assert found["recall@1"] == 0
    assert found["recall@5"] == 50
    assert found["recall@10"] == 50
    assert found["recall@20"] == 100
    assert (found["any@1"], found["any@5"]) == (0, 100)
    assert (found["all@10"], found["all@20"], found["all@50"]) == (0, 100, 100)


def test_mrr_is_of_the_first_that_is_found():
    assert score(RANKED, ["D2:4", "D1:2"])["mrr"] == pytest.approx(100 / 3)
    assert score(RANKED, ["D9:9"])["mrr"] == 0


def test_ndcg_is_relative_to_the_best_ranking_possible():
    assert score(["a", "b", "c"], ["a", "b"])["ndcg@10"] == 100
    # Ranks 2 and 3 of two: (1/log2(3) + 1/log2(4)) / (1/log2(2) + 1/log2(3))
    third = 1 / math.log2(3)
    assert score(["x", "a", "b"], ["a", "b"])["ndcg@10"] == pytest.approx(
        100 * (third + 0.5) / (1 + third)
    )
    # Eleven to find, ten found: as good as ten places can be.
    gold = [f"D1:{number}" for number in range(11)]
    assert score(gold, gold)["ndcg@10"] == pytest.approx(100)
    assert score(RANKED, ["D2:9"])["ndcg@10"] == 0  # it stands at rank 11


def test_session_recall_ranks_sessions_by_their_first_turn():
    # Sessions in order: D1, D2, D3, D4, D5, …
    found = score(RANKED, ["D2:77", "D8:1"])
    assert found["session_recall@1"] == 0
    assert found["session_recall@5"] == 50
    assert found["session_recall@10"] == 100


def test_an_id_ranked_twice_counts_once_and_evidence_named_twice_too():
    assert score(["a", "a", "b"], ["a", "b", "b"])["recall@5"] == 100
    assert score(["x", "x", "x", "x", "x", "a"], ["a"])["recall@5"] == 100


def test_a_question_without_evidence_is_refused_not_counted_as_right():
    with pytest.raises(ValueError, match="without evidence"):
        score(RANKED, [])


def test_groups_hold_their_categories_and_say_how_many():
    scores = [score(["a"], ["a"]), score(["a"], ["b"]), score(["a"], ["a"])]
    groups = summarise(scores, [1, 4, 5], seed=0)
    assert {group: groups[group]["n"] for group in groups} == {
        "1-4": 2, "1-5": 3, "1": 1, "2": 0, "3": 0, "4": 1, "5": 1,
    }  # fmt: skip
    assert groups["1-4"]["recall@10"] == 50
    assert groups["1-5"]["recall@10"] == 66.67
    assert groups["2"]["recall@10"] is None
    assert groups["2"]["recall@10_ci95"] is None


def test_every_metric_has_its_interval_beside_it():
    group = summarise([score(["a"], ["a"])], [1], seed=0)["1-4"]
    for name in evidence_metrics.names():
        low, high = group[f"{name}_ci95"]
        assert low == high == group[name]  # one question leaves nothing to resample


def test_bootstrap_intervals_are_those_of_the_mean_and_of_the_seed():
    # Mean of n coin tosses: the interval is mean ± 1.96 · sqrt(p(1 - p) / n).
    tosses = np.array([[100.0]] * 120 + [[0.0]] * 280)
    low, high = bootstrap(tosses, seed=1)
    half = 1.96 * 100 * math.sqrt(0.3 * 0.7 / 400)
    assert low[0] == pytest.approx(30 - half, abs=0.6)
    assert high[0] == pytest.approx(30 + half, abs=0.6)
    assert (low, high) == bootstrap(tosses, seed=1)
    assert bootstrap(tosses, seed=2) != (low, high)
