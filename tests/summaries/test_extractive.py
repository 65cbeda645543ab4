"""Extraction of the most telling passages from vectors and weights."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memos.summaries.extractive import LEAST_COSINE, central, length_of, sentence, telling


def unit(rows):
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def random_units(seed, n, dimensions=16):
    return unit(np.abs(np.random.default_rng(seed).normal(size=(n, dimensions))))


def test_salience_is_the_personalised_pagerank_of_the_cosine_graph():
    vectors = random_units(3, 12)
    weights = np.random.default_rng(4).uniform(0.5, 3, 12)
    graph = nx.DiGraph()
    cosines = np.round((vectors @ vectors.T).astype(np.float64), 4)
    for i in range(12):
        for j in range(12):
            if i != j and cosines[i, j] >= LEAST_COSINE:
                graph.add_edge(i, j, weight=cosines[i, j] * weights[j])
    expected = nx.pagerank(graph, alpha=0.85, personalization=dict(enumerate(weights)), tol=1e-10)
    assert central(vectors, weights) == pytest.approx([expected[i] for i in range(12)], abs=1e-5)


def test_the_middle_of_a_subject_is_chosen_and_a_copy_of_it_is_not():
    vectors = unit([[1, 0.1, 0], [1, 0, 0], [1, 0, 0], [0.9, 0.3, 0], [0, 0.2, 1], [0, 0, 1]])
    chosen = telling(vectors, np.ones(6), 2).tolist()
    assert len(set(chosen) & {0, 1, 2, 3}) == 1
    assert len(set(chosen) & {4, 5}) == 1


def test_passages_without_weight_are_never_chosen():
    vectors = random_units(1, 5)
    assert telling(vectors, np.array([0, 1, 0, 1, 0.0]), 3).tolist() == [1, 3]


def test_long_texts_are_read_in_parts_without_a_square_of_memory():
    vectors = random_units(2, 5000)
    weights = np.ones(5000)
    chosen = telling(vectors, weights, 8)
    assert len(chosen) == 8
    assert chosen.tolist() == telling(vectors, weights, 8).tolist()


@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 5))
def test_choices_are_distinct_in_order_and_enough(n, limit, seed):
    vectors = random_units(seed, n)
    chosen = telling(vectors, np.ones(n), limit).tolist()
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(n, limit)


def test_the_sentence_with_most_to_say():
    text = "Wow! I joined a pottery class in Bern. Have you ever tried pottery wheels and kilns?"
    assert sentence(text) == "I joined a pottery class in Bern."
    assert sentence("How are you?") == "How are you?"
    assert sentence("  ") == ""
    assert (
        sentence("Common words here. Rare.", {"rare": 9.0, "common": 0.1, "word": 0.1}) == "Rare."
    )


def test_a_long_sentence_is_cut_at_a_word():
    cut = sentence("word " * 200)
    assert len(cut) <= 241
    assert cut.endswith("word…")


def test_length_grows_slowly():
    assert [length_of(n) for n in (1, 9, 16, 100, 10_000)] == [2, 3, 4, 8, 8]
