"""One score from many: calibrated channels plus priors, with each part kept for the breakdown.

Each channel's raw scores are put on one scale by their mean and standard deviation over the
candidates that either channel ranks highest (per query: no constant is fitted to any data set), so
that a sum of them is meaningful; cf. M. Montague and J. Aslam, "Relevance Score Normalization for
Metasearch" (2001), ZMUV. Priors are added in the same unit, standard deviations. That is the plain
sum. Fitted weights change it by features of the candidates; they need the query's vector.

Knows scores and columns; not where the candidates come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from memos.retrieval.projection.columns import Mask, Rows
from memos.retrieval.projection.projection import Projection
from memos.retrieval.ranking.candidates import Candidates
from memos.retrieval.ranking.features import CHANNELS as FEATURE_CHANNELS
from memos.retrieval.ranking.features import Calibrated, features
from memos.retrieval.ranking.fit import Fit
from memos.retrieval.reading.query import Reading
from memos.types import Contribution

Scores = NDArray[np.float32]

LEXICAL = 1.0
DENSE = 1.0
SESSION = 0.25
SPEAKER = 3.0
"""The one speaker that the query names said it. Names are taken out of the channels in return."""
SUBJECT = 0.5
"""Share of that where the query names others after the one."""
TIME = 1.5
"""It was said within a time that the query names."""
QUESTION = -1.5
"""A memory that ends in a question asserts nothing itself."""
PLACE = 2.0
"""It happened at a place that the query names."""
PLACED = 0.5
"""It carries a place at all, and the query asks where."""
PHRASE = 6.0
"""It holds the words that the query has in quotes, in their order: quotes are meant."""
PRIORITY = 1.0
"""Times (priority - 0.5): a memory of the usual priority is not moved."""
GRACE = timedelta(days=7)
"""People tell of a thing up to about a week after it happened."""


@dataclass(frozen=True, slots=True)
class Part:
    """One channel's share for all candidates, arrays of one length; `share` is what it adds."""

    channel: str
    raw: Scores
    calibrated: Scores
    share: Scores


@dataclass(frozen=True, slots=True)
class Fused:
    """Candidates with their scores; `parts` explain them."""

    rows: Rows
    scores: Scores
    parts: tuple[Part, ...]

    def breakdown(self, at: int) -> tuple[Contribution, ...]:
        """The shares of the candidate at this index that are not nothing."""
        return tuple(
            Contribution(
                channel=part.channel,
                raw=float(part.raw[at]),
                calibrated=float(part.calibrated[at]),
                weighted=float(part.share[at]),
                rank=int((part.raw > part.raw[at]).sum()) + 1 if part.channel in RANKED else None,
            )
            for part in self.parts
            if part.share[at] or part.channel == "dense"
        )


RANKED = ("lexical", "dense", "session")

REPLACED = "session"
"""The plain channel that a feature (the gap to the session's best) takes the place of."""


def fitted(
    plain: Fused,
    found: Candidates,
    projection: Projection,
    reading: Reading,
    fit: Fit,
) -> Fused:
    """Scores of all candidates by fitted weights, from their plain sum; that itself without
    vectors, which the features need."""
    if found.dense is None or not len(found.rows):
        return plain
    matrix = matrix_of(plain, found, projection, reading)
    centred = matrix - matrix[found.core].mean(axis=0) if found.core.any() else matrix
    shares = centred * fit.vector()
    return _total(found.rows, _fitted(plain.parts, matrix, centred, shares, fit))


def base_of(plain: Fused) -> Scores:
    """What of the plain sum a fit keeps."""
    gone = [part.share for part in plain.parts if part.channel == REPLACED]
    return np.asarray(plain.scores - sum(gone), np.float32)


def matrix_of(plain: Fused, found: Candidates, projection: Projection, reading: Reading) -> Scores:
    """The features of the candidates whose plain sum is `plain`; shape (candidates, features)."""
    part = {part.channel: part for part in plain.parts}
    known = Calibrated(
        lexical=part["lexical"].calibrated,
        dense=part["dense"].calibrated,
        total=plain.scores,
    )
    return features(found, known, projection, reading)


def _fitted(
    parts: Sequence[Part], matrix: Scores, centred: Scores, shares: Scores, fit: Fit
) -> list[Part]:
    """The plain parts that stay times their common weight, and the features' shares by channel."""
    by_channel = {
        part.channel: replace(part, share=part.share * np.float32(fit.base))
        for part in parts
        if part.channel != REPLACED
    }
    columns: dict[str, list[int]] = {}
    for column, channel in enumerate(FEATURE_CHANNELS.values()):
        columns.setdefault(channel, []).append(column)
    for channel, at in columns.items():
        share = shares[:, at].sum(axis=1)
        if channel in by_channel:
            part = by_channel[channel]
            by_channel[channel] = replace(part, share=part.share + share)
        elif share.any():
            # Several features in one: what is shown as raw is that of the heaviest.
            heaviest = at[int(np.abs(shares[:, at]).sum(axis=0).argmax())]
            by_channel[channel] = Part(channel, matrix[:, heaviest], centred[:, heaviest], share)
    return list(by_channel.values())


def summed(found: Candidates, projection: Projection, reading: Reading) -> Fused:
    """The plain sum of all candidates: no weight in it was fitted to any data. Read the projection
    under its lock."""
    rows = found.rows
    parts = [_weighted("lexical", found.lexical, calibrated(found.lexical, found.core), LEXICAL)]
    if found.dense is not None:
        parts.append(_weighted("dense", found.dense, calibrated(found.dense, found.core), DENSE))
    parts.append(_session(found))
    if found.phrase.any() and not reading.exact:
        holds = found.phrase.astype(np.float32)
        parts.append(_weighted("phrase", holds, holds, PHRASE))
    for channel, weight, prior in _PRIORS:
        raw = prior(rows, projection, reading)
        if raw is not None:
            parts.append(_weighted(channel, raw, raw, weight))
    return _total(rows, parts)


def with_graph(plain: Fused, near: Scores, weight: float) -> Fused:
    """The sum with a channel more: how near the graph puts each candidate, 1 for the nearest."""
    return _total(plain.rows, [*plain.parts, _weighted("graph", near, near, weight)])


def _weighted(channel: str, raw: Scores, value: Scores, weight: float) -> Part:
    return Part(channel, raw, value, value * np.float32(weight))


def _total(rows: Rows, parts: Sequence[Part]) -> Fused:
    total = np.zeros(len(rows), np.float32)
    for part in parts:
        total += part.share
    return Fused(rows, total, tuple(parts))


def _session(found: Candidates) -> Part:
    """The session's share; a memory of no session is neither helped nor harmed."""
    member = ~np.isnan(found.session)
    raw = np.where(member, found.session, np.float32(0))
    value = np.where(member, calibrated(raw, found.core & member), np.float32(0))
    return _weighted("session", raw, value, SESSION)


def calibrated(raw: Scores, core: Mask) -> Scores:
    """Standard deviations above the mean of the core; all 0 where the core has no spread."""
    reference = raw[core]
    if not len(reference):
        return np.zeros_like(raw)
    spread = float(reference.std())
    if spread < 1e-6:
        return np.zeros_like(raw)
    return np.asarray((raw - reference.mean()) / spread, np.float32)


def _speaker(rows: Rows, projection: Projection, reading: Reading) -> Scores | None:
    if not reading.preferred:
        return None
    factor = projection.columns.texts["speaker"]
    said = np.zeros(len(rows), np.bool_)
    for name in reading.preferred:
        said |= factor.codes[rows] == factor.find(name)
    return np.where(said, 1.0 if reading.sole else SUBJECT, 0.0).astype(np.float32)


def _time(rows: Rows, projection: Projection, reading: Reading) -> Scores | None:
    if not reading.windows:
        return None
    occurred = projection.columns.numbers["occurred_at"][rows]
    inside = np.zeros(len(rows), np.bool_)
    for window in reading.windows:
        hit = ~np.isnan(occurred)
        if window.since is not None:
            hit &= occurred >= window.since.timestamp()
        if window.until is not None:
            grace = GRACE if window.since is not None else timedelta(0)
            hit &= occurred < window.until.timestamp() + grace.total_seconds()
        inside |= hit
    return inside.astype(np.float32)


def _place(rows: Rows, projection: Projection, reading: Reading) -> Scores | None:
    if not reading.places:
        return None
    factor = projection.columns.texts["place"]
    codes = [code for name in reading.places if (code := factor.find(name))]
    return np.isin(factor.codes[rows], codes).astype(np.float32)


def _placed(rows: Rows, projection: Projection, reading: Reading) -> Scores | None:
    if reading.wanted != "where":
        return None
    return (projection.columns.texts["place"].codes[rows] > 0).astype(np.float32)


def _question(rows: Rows, projection: Projection, reading: Reading) -> Scores | None:
    return None if reading.about_questions else projection.lexical.asks[rows].astype(np.float32)


def _priority(rows: Rows, projection: Projection, reading: Reading) -> Scores | None:
    return (projection.columns.numbers["priority"][rows] - 0.5).astype(np.float32)


_Prior = Callable[[Rows, Projection, Reading], "Scores | None"]
_PRIORS: tuple[tuple[str, float, _Prior], ...] = (
    ("speaker", SPEAKER, _speaker),
    ("time", TIME, _time),
    ("place", PLACE, _place),
    ("placed", PLACED, _placed),
    ("question", QUESTION, _question),
    ("priority", PRIORITY, _priority),
)
