"""What a user would otherwise pick for retrieval: BM25, cosine of MiniLM, and their RRF, in numpy.

Independent of the engine: shares no analysis, index or fusion with it, only the embedder's weights.
Every baseline gets the same words of each turn (text and caption) and the question as it is asked.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import Stemmer

if TYPE_CHECKING:
    from memos.benchmarks.texts.locomo_data import Turn
    from memos.protocols import Embedder

Scores = np.ndarray[Any, np.dtype[np.float64]]
Ranker = Callable[[str], list[str]]
"""A question to the dia_ids of all turns, best first."""

RRF_K = 60
"""Cormack, Clarke and Büttcher, Reciprocal Rank Fusion, SIGIR 2009."""

# Words that only hold a sentence together; BM25 without them is the stronger baseline.
_STOP_WORDS = (
    "a about after again all am an and any are as at be because been before being between "
    "both but by can could d did do does doing down during each few for from further had has "
    "have having he her here hers him his how i if in into is it its just ll m me more most "
    "my no nor not now of off on once only or other our out over own re s same she should so "
    "some such t than that the their them then there these they this those through to too "
    "under until up ve very was we were what when where which while who whom why will with "
    "would you your yours "
)
_STOP = frozenset(_STOP_WORDS.split())
_STEMMER = Stemmer.Stemmer("english")


def terms(text: str) -> list[str]:
    """Lower-case words without stop words, by Snowball's English stemmer."""
    words = re.findall(r"[^\W_]+", text.lower().replace("’", "'"))
    stems: list[str] = _STEMMER.stemWords([word for word in words if word not in _STOP])
    return stems


class BM25:
    """Okapi BM25 with Lucene's idf (never negative); k1 = 1.2, b = 0.75."""

    def __init__(self, documents: Sequence[Sequence[str]], *, k1: float = 1.2, b: float = 0.75):
        self._n = len(documents)
        lengths = np.array([len(document) for document in documents], dtype=float)
        norm = k1 * (1 - b + b * lengths / max(float(lengths.mean()), 1e-9))
        postings: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for row, document in enumerate(documents):
            for term, count in Counter(document).items():
                postings[term].append((row, count))
        self._weights: dict[str, tuple[np.ndarray[Any, Any], Scores]] = {}
        for term, found in postings.items():
            rows = np.array([row for row, _ in found])
            tf = np.array([count for _, count in found], dtype=float)
            idf = math.log(1 + (self._n - len(found) + 0.5) / (len(found) + 0.5))
            self._weights[term] = (rows, idf * tf * (k1 + 1) / (tf + norm[rows]))

    def scores(self, query: Sequence[str]) -> Scores:
        """One score per document; 0 where no term is shared."""
        total = np.zeros(self._n)
        for term in set(query):
            if term in self._weights:
                rows, weights = self._weights[term]
                total[rows] += weights
        return total


def windows(turns: Sequence[Turn]) -> list[list[str]]:
    """Each turn's terms together with those of the turn before and after it in its session."""
    own = [terms(turn.words) for turn in turns]
    return [
        [
            term
            for near in range(max(0, row - 1), min(len(turns), row + 2))
            if turns[near].session == turn.session
            for term in own[near]
        ]
        for row, turn in enumerate(turns)
    ]


def rankers(turns: Sequence[Turn], embedder: Embedder) -> Mapping[str, Ranker]:
    """The baselines over one conversation, by the names that reports use."""
    ids = [turn.dia_id for turn in turns]
    on_turns = BM25([terms(turn.words) for turn in turns])
    on_windows = BM25(windows(turns))
    vectors = embedder.embed([turn.words for turn in turns]).astype(float)

    def dense(question: str) -> Scores:
        cosine: Scores = vectors @ embedder.embed([question])[0].astype(float)
        return cosine

    def fused(question: str) -> Scores:
        lexical = on_turns.scores(terms(question))
        total: Scores = sum_of_reciprocal_ranks([lexical, dense(question)])
        return total

    scorers: dict[str, Callable[[str], Scores]] = {
        "bm25-turns": lambda question: on_turns.scores(terms(question)),
        "bm25-windows": lambda question: on_windows.scores(terms(question)),
        "minilm-turns": dense,
        "rrf-bm25-minilm": fused,
    }

    def ranker(scorer: Callable[[str], Scores]) -> Ranker:
        return lambda question: [ids[row] for row in best_first(scorer(question))]

    return {name: ranker(scorer) for name, scorer in scorers.items()}


def sum_of_reciprocal_ranks(channels: Sequence[Scores]) -> Scores:
    """RRF: the sum over channels of 1 / (60 + rank), with ranks from 1."""
    total = np.zeros(len(channels[0]))
    for scores in channels:
        total[best_first(scores)] += 1 / (RRF_K + np.arange(1, len(scores) + 1))
    return total


def best_first(scores: Scores) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Rows by falling score; equal scores keep the order of the turns."""
    return np.argsort(-scores, kind="stable")
