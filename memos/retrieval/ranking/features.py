"""What a fitted fusion looks at beside the channels' sum: features of each candidate.

Each is told from the query, the candidate, the memories beside it, or the candidates as a whole; no
text is read. A feature belongs to a channel, under which its share is shown. Features that take
part only for some queries ("when*spoken") are 0 for the others. Knows no weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memos.retrieval.projection.columns import Rows
from memos.retrieval.projection.lexical import Lexical
from memos.retrieval.projection.projection import Projection
from memos.retrieval.ranking.candidates import Candidates
from memos.retrieval.reading import kinship
from memos.retrieval.reading.analysis import QUESTION, analyze
from memos.retrieval.reading.query import Reading
from memos.retrieval.reading.times import Window

Scores = NDArray[np.float32]

CHANNELS: Mapping[str, str] = MappingProxyType(
    {
        "told": "telling",
        "names": "telling",
        "what*names": "telling",
        "coverage": "coverage",
        "coverage after": "coverage",
        "pairs": "coverage",
        "rarest": "coverage",
        "kin": "kinship",
        "kin before": "kinship",
        "kin after": "kinship",
        "answers": "answer",
        "when*asked": "answer",
        "speaker": "speaker",
        "days off": "time",
        "days spoken off": "spoken",
        "when*spoken": "spoken",
        "session gap": "standing",
        "dense": "dense",
        "dense after": "dense",
        "agreement": "agreement",
    }
)
"""Channel by feature, in the order of the matrix's columns."""

_READ = 400
"""Terms of one text that are looked at: a document's beginning."""
_TOLD = 300
_NAMES = 4
_DAYS = 365.0


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The channels of the plain sum, in standard deviations, and that sum."""

    lexical: Scores
    dense: Scores
    total: Scores


def features(
    found: Candidates, known: Calibrated, projection: Projection, reading: Reading
) -> Scores:
    """Shape (candidates, features), columns in the order of `CHANNELS`. The query has a vector."""
    assert found.cosines is not None
    rows, lexical, tellings = found.rows, projection.lexical, projection.tellings
    words, kin = _words(rows, projection, reading), _kin(rows, projection, reading)
    before = projection.timeline.before[rows]
    asked = lexical.asks[before] & (before >= 0)
    names = np.minimum(tellings.names[rows], _NAMES)
    when, what = reading.wanted == "when", reading.wanted == "what"
    table: dict[str, NDArray[Any]] = {
        "told": np.log1p(np.minimum(tellings.told[rows], _TOLD)),
        "names": names,
        "what*names": what * names,
        "coverage": words.with_before,
        "coverage after": words.after,
        "pairs": words.pairs,
        "rarest": words.rarest,
        "kin": kin.own,
        "kin before": kin.with_before,
        "kin after": kin.after,
        "answers": asked * words.before,
        "when*asked": when * asked,
        "speaker": _speaker(rows, projection, reading),
        "days off": _days_off(rows, projection, reading.windows),
        "days spoken off": _days_spoken_off(tellings.spoken[rows], reading.windows),
        "when*spoken": when * (tellings.spoken[rows] != 0).any(axis=(1, 2)),
        "session gap": _below_best(known.total, projection.columns.chain.codes[rows]),
        "dense": known.dense,
        "dense after": found.cosines[2],
        "agreement": np.minimum(known.lexical, known.dense),
    }
    return np.stack([np.asarray(table[name], np.float32) for name in CHANNELS], axis=1)


@dataclass(frozen=True, slots=True)
class _Words:
    """How the query's words lie in the candidates and beside them, arrays of one length.

    `before`, `after`, `with_before`: share of the query's idf, over those of its terms that occur
    at all, in the memory before, after, and in the candidate or the one before. `pairs`: terms that
    follow each other in the query and there. `rarest`: idf of the candidate's rarest term, 1 for
    one that no other memory has.
    """

    before: Scores
    after: Scores
    with_before: Scores
    pairs: Scores
    rarest: Scores


def _words(rows: Rows, projection: Projection, reading: Reading) -> _Words:
    lexical, timeline = projection.lexical, projection.timeline
    codes = lexical.codes(reading.query.terms)
    share = lexical.idf(codes)
    share = share / max(float(share.sum()), 1e-9)
    own, before, after = (
        lexical.holds(there, codes) for there in (rows, timeline.before[rows], timeline.after[rows])
    )
    terms, owners = lexical.texts(rows, most=_READ)
    order = lexical.codes([t for t in analyze(reading.query.dense_text) if t != QUESTION])
    return _Words(
        before=share @ before,
        after=share @ after,
        with_before=share @ (own | before),
        pairs=_pairs(terms, owners, order, len(rows)),
        rarest=_rarest(terms, owners, lexical, len(rows)),
    )


@dataclass(frozen=True, slots=True)
class _Kin:
    """How near the candidates and those beside them come to the query's terms in meaning, 0 to 1:
    of each term the word nearest to it, then the mean over terms by rarity. As in `_Words`."""

    own: Scores
    with_before: Scores
    after: Scores


def _kin(rows: Rows, projection: Projection, reading: Reading) -> _Kin:
    lexical, timeline = projection.lexical, projection.timeline
    terms = [term for term in reading.query.terms if term != QUESTION]
    codes = lexical.codes(terms)
    share = lexical.surprise(codes)
    share = share / max(float(share.sum()), 1e-9)
    beside = (rows, timeline.before[rows], timeline.after[rows])
    texts, at = np.unique(np.concatenate(beside), return_inverse=True)
    own, before, after = np.split(_nearest(texts, terms, codes, projection)[:, at], 3, axis=1)
    return _Kin(share @ own, share @ np.maximum(own, before), share @ after)


def _nearest(
    texts: Rows, terms: Sequence[str], codes: Sequence[int], projection: Projection
) -> Scores:
    """Shape (terms, texts): how near the nearest word of each text comes; row -1 has none."""
    table, lexical = kinship.default(), projection.lexical
    there = np.flatnonzero(texts >= 0)
    held, owners = lexical.texts(texts[there], most=_READ)
    found = np.zeros((len(terms), len(texts)), np.float32)
    if not len(held) or not terms:
        return found
    distinct, at = np.unique(held, return_inverse=True)
    near = table.nearness(table.rows(terms), np.frombuffer(projection.kin, np.intc)[distinct])
    near[np.array(codes)[:, None] == distinct[None, :]] = 1
    # The terms of one text stand together.
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    found[:, there[owners[starts]]] = np.maximum.reduceat(near[:, at], starts, axis=1)
    return found


def _pairs(
    terms: NDArray[np.int64], owners: NDArray[np.int64], order: Sequence[int], count: int
) -> Scores:
    """How many different pairs of neighbours in `order` are neighbours in each text."""
    wanted = [a << 32 | b for a, b in pairwise(order) if a >= 0 and b >= 0]
    if not wanted or len(terms) < 2:
        return np.zeros(count, np.float32)
    pairs = terms[:-1] << 32 | terms[1:]
    hit = np.isin(pairs, wanted) & (owners[:-1] == owners[1:])
    seen = np.unique(np.stack([owners[:-1][hit], pairs[hit]]), axis=1)
    return np.bincount(seen[0], minlength=count).astype(np.float32)


def _rarest(
    terms: NDArray[np.int64], owners: NDArray[np.int64], lexical: Lexical, count: int
) -> Scores:
    best = np.zeros(count, np.float32)
    distinct, at = np.unique(terms, return_inverse=True)
    np.maximum.at(best, owners, lexical.idf(distinct)[at])
    return np.asarray(best / np.float32(math.log1p((lexical.rows - 0.5) / 1.5)), np.float32)


def _speaker(rows: Rows, projection: Projection, reading: Reading) -> Scores:
    """1 if the speaker that the query names said it, -1 if another did; half if others are named
    too; 0 if none is."""
    if not reading.preferred:
        return np.zeros(len(rows), np.float32)
    factor = projection.columns.texts["speaker"]
    meant = [code for name in reading.preferred if (code := factor.find(name))]
    said = np.isin(factor.codes[rows], meant)
    size = 1.0 if reading.sole else 0.5
    return np.where(said, size, -size).astype(np.float32)


def _days_off(rows: Rows, projection: Projection, windows: Sequence[Window]) -> Scores:
    """log(1 + days) from the nearest of the times that the query names; 0 if it names none.

    A memory without a time is taken to be a year off.
    """
    if not windows:
        return np.zeros(len(rows), np.float32)
    occurred = projection.columns.numbers["occurred_at"][rows]
    nearest = np.full(len(rows), np.inf)
    for window in windows:
        early = window.since.timestamp() - occurred if window.since else np.zeros(len(rows))
        late = occurred - window.until.timestamp() if window.until else np.zeros(len(rows))
        nearest = np.fmin(nearest, np.maximum(0, np.maximum(early, late)))
    days = np.where(np.isnan(occurred), _DAYS, np.minimum(nearest / 86_400, _DAYS))
    return np.log1p(days).astype(np.float32)


def _days_spoken_off(spoken: NDArray[np.int32], windows: Sequence[Window]) -> Scores:
    """The same of the times that it speaks of; a year for one that speaks of none."""
    if not windows:
        return np.zeros(len(spoken), np.float32)
    first, end = spoken[:, :, 0].astype(np.float64), spoken[:, :, 1].astype(np.float64)
    nearest = np.full(first.shape, np.inf)
    for window in windows:
        since = window.since.timestamp() / 86_400 if window.since else -np.inf
        until = window.until.timestamp() / 86_400 if window.until else np.inf
        nearest = np.minimum(nearest, np.maximum(0, np.maximum(since - end, first - until)))
    nearest[first == end] = np.inf  # there is no further time
    days = np.minimum(nearest.min(axis=1), _DAYS)
    return np.asarray(np.log1p(days), np.float32)


def _below_best(total: Scores, chain: NDArray[np.int32]) -> Scores:
    """How far each lies below the best of its session; 0 for one of no session."""
    sessions, at = np.unique(chain, return_inverse=True)
    best = np.full(len(sessions), -np.inf, np.float32)
    np.maximum.at(best, at, total)
    return np.asarray(np.where(chain > 0, total - best[at], 0), np.float32)
