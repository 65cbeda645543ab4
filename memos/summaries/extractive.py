"""The passages that say most of a text, by centrality, none of them twice.

LexRank (Erkan and Radev, "LexRank: Graph-based Lexical Centrality as Salience in Text
Summarization", JAIR 2004): passages are nodes, cosines are edges, PageRank is salience; here over
the cosines of stored vectors, and drawn towards passages with much to say (the biased variant of
Otterbacher et al., 2005). Maximal marginal relevance then keeps what is chosen from repeating
itself. Knows vectors and weights; no memories.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memos.retrieval.projection.columns import Rows
from memos.retrieval.ranking.diversity import diversified
from memos.retrieval.reading.analysis import QUESTION, analyze

if TYPE_CHECKING:
    from memos.protocols import Vector

LEAST_COSINE = 0.1
"""Weaker edges are noise."""
_DAMPING = 0.85
_ROUNDS = 60
_SETTLED = 1e-7
_BALANCE = 0.7
_PART = 512
_PART_KEEPS = 64
_SENTENCE_CHARS = 240

_END = re.compile(r"(?<=[.!?…])[\"”’)\]]*\s+")


def central(vectors: Vector, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Salience of each passage, shape (n,), summing to 1. `vectors` (n, dimensions) have length 1;
    `weights` (n,) say how much each has to say by itself, not all 0."""
    cosines = np.round((vectors @ vectors.T).astype(np.float64), 4)
    edges = np.where(cosines >= LEAST_COSINE, cosines, 0.0)
    np.fill_diagonal(edges, 0.0)
    drawn = weights / weights.sum()
    edges *= drawn  # an edge leads to where there is something to read
    out = edges.sum(axis=1)
    salience = drawn.copy()
    for _ in range(_ROUNDS):
        share = np.divide(salience, out, out=np.zeros_like(out), where=out > 0)
        lost = float(salience[out <= 0].sum())
        after = _DAMPING * (share @ edges + lost * drawn) + (1 - _DAMPING) * drawn
        if float(np.abs(after - salience).sum()) < _SETTLED:
            return np.asarray(after)
        salience = after
    return np.asarray(salience)


def telling(vectors: Vector, weights: NDArray[np.float64], limit: int) -> Rows:
    """The places of at most `limit` passages, in their own order.

    Of a long text parts are read first and the best of each together, so that time and memory
    grow with its length, not with the square of it. Passages of no weight are never chosen.
    """
    places = np.flatnonzero(weights > 0)
    while len(places) > _PART:
        parts = [places[i : i + _PART] for i in range(0, len(places), _PART)]
        places = np.concatenate([_best(vectors, weights, part, _PART_KEEPS) for part in parts])
    return _best(vectors, weights, places, limit)


def length_of(count: int) -> int:
    """How many passages a summary of `count` has."""
    return min(8, max(2, math.isqrt(count)))


def sentence(text: str, rare: Mapping[str, float] | None = None) -> str:
    """The sentence of a passage with most to say, at most about 240 characters of it; `rare` is
    the idf of its terms. The earliest one of equals; a question only if there is nothing else."""
    rare = rare or {}
    found = [part.strip() for part in _END.split(" ".join(text.split())) if part.strip()]
    if not found:
        return ""

    def worth(part: str) -> float:
        terms = set(analyze(part))
        mass = sum(rare.get(term, 1.0) for term in sorted(terms - {QUESTION}))
        return mass * (0.3 if QUESTION in terms else 1.0)

    best = max(found, key=worth)
    if len(best) <= _SENTENCE_CHARS:
        return best
    cut = best[:_SENTENCE_CHARS]
    return (cut[: cut.rfind(" ")] if " " in cut else cut) + "…"


def _best(vectors: Vector, weights: NDArray[np.float64], places: Rows, limit: int) -> Rows:
    if len(places) <= limit:
        return places
    chosen = vectors[places]
    salience = central(chosen, weights[places]).astype(np.float32)
    order = diversified(np.round(salience, 6), chosen, balance=_BALANCE, limit=limit)
    return np.asarray(np.sort(places[order]), np.int64)
