"""The baselines against hand-computed scores: they must be as good as what they stand for."""

import math
from datetime import datetime, timezone

import numpy as np
import pytest

from memos.benchmarks.retrieval.baselines import (
    BM25,
    best_first,
    rankers,
    sum_of_reciprocal_ranks,
    terms,
    windows,
)
from memos.benchmarks.texts.locomo_data import Turn


def turn(number: int, text: str, *, session: int = 1, caption: str | None = None) -> Turn:
    return Turn(
        dia_id=f"D{session}:{number}",
        session=session,
        speaker="Ada",
        text=text,
        caption=caption,
        image_urls=(),
        said_at=datetime(2024, 1, 1, tzinfo=timezone.utc),
    )


def test_terms_are_stems_without_stop_words():
    assert terms("What were the Bees' hives called?") == ["bee", "hive", "call"]


def test_bm25_by_hand():
    index = BM25([["bee", "hive"], ["bee", "bee", "boat", "paint"], ["dog"]], k1=1.2, b=0.75)
    mean = 7 / 3

    def part(tf: int, length: int, df: int) -> float:
        idf = math.log(1 + (3 - df + 0.5) / (df + 0.5))
        return idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / mean))

    assert index.scores(["bee", "boat", "boat", "moon"]) == pytest.approx(
        [part(1, 2, 2), part(2, 4, 2) + part(1, 4, 1), 0.0]
    )


def test_windows_reach_one_turn_within_the_session():
    turns = [turn(1, "bees"), turn(2, "boat"), turn(3, "dog"), turn(1, "moon", session=2)]
    assert windows(turns) == [["bee", "boat"], ["bee", "boat", "dog"], ["boat", "dog"], ["moon"]]


def test_reciprocal_ranks_by_hand_and_ties_in_order():
    total = sum_of_reciprocal_ranks([np.array([3.0, 1.0, 2.0]), np.array([0.0, 5.0, 0.0])])
    assert total == pytest.approx([1 / 61 + 1 / 62, 1 / 63 + 1 / 61, 1 / 62 + 1 / 63])
    assert list(best_first(np.array([1.0, 2.0, 2.0]))) == [1, 2, 0]


class Axes:
    """One axis per known word: cosine is the share of words in common."""

    words = ("bees", "boat", "dog")

    def embed(self, texts: list[str]) -> np.ndarray:
        rows = np.array([[float(w in text.lower()) for w in self.words] for text in texts])
        return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)).astype("f4")


def test_each_ranks_all_turns_by_its_own_scores_with_captions():
    turns = [turn(1, "hello there"), turn(2, "look", caption="a dog on a boat"), turn(3, "bees")]
    found = rankers(turns, Axes())  # type: ignore[arg-type]
    assert set(found) == {"bm25-turns", "bm25-windows", "minilm-turns", "rrf-bm25-minilm"}
    for name in ("bm25-turns", "minilm-turns", "rrf-bm25-minilm"):
        assert found[name]("Where is the dog?")[0] == "D1:2", name
        assert sorted(found[name]("Where is the dog?")) == ["D1:1", "D1:2", "D1:3"]
    # Its neighbours share the word by their windows, and a shorter window counts more.
    assert set(found["bm25-windows"]("Where is the dog?")[:3]) == {"D1:1", "D1:2", "D1:3"}
