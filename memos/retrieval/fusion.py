"""One score from many: calibrated channels plus priors, with each part kept for the breakdown.

Each channel's raw scores are put on one scale by their mean and standard deviation over the
candidates that either channel ranks highest (per query: no constant is fitted to any data set), so
that a sum of them is meaningful; cf. M. Montague and J. Aslam, "Relevance Score Normalization for
Metasearch" (2001), ZMUV. Priors are added in the same unit, standard deviations.

Knows scores and columns; not where the candidates come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from memos.retrieval.candidates import Candidates
from memos.retrieval.columns import Mask, Rows
from memos.retrieval.projection import Projection
from memos.retrieval.query import Reading
from memos.types import Contribution

Scores = NDArray[np.float32]

LEXICAL = 1.0
DENSE = 1.0
SESSION = 0.25
SPEAKER = 3.0
"""The one speaker that the query names said it. Names are taken out of the channels in return."""
TIME = 1.5
"""It was said within a time that the query names."""
QUESTION = -1.5
"""A memory that ends in a question asserts nothing itself."""
PHRASE = 6.0
"""It holds the words that the query has in quotes, in their order: quotes are meant."""
PRIORITY = 1.0
"""Times (priority - 0.5): a memory of the usual priority is not moved."""
GRACE = timedelta(days=7)
"""People tell of a thing up to about a week after it happened."""


@dataclass(frozen=True, slots=True)
class Part:
    """One channel's share for all candidates, arrays of one length."""

    channel: str
    raw: Scores
    calibrated: Scores
    weight: float


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
                weighted=float(part.calibrated[at]) * part.weight,
                rank=int((part.raw > part.raw[at]).sum()) + 1 if part.channel in CHANNELS else None,
            )
            for part in self.parts
            if part.raw[at] or part.channel == "dense"
        )


CHANNELS = ("lexical", "dense", "session")


def fuse(found: Candidates, projection: Projection, reading: Reading) -> Fused:
    """Scores of all candidates. Read the projection under its lock."""
    rows = found.rows
    parts = [Part("lexical", found.lexical, calibrated(found.lexical, found.core), LEXICAL)]
    if found.dense is not None:
        parts.append(Part("dense", found.dense, calibrated(found.dense, found.core), DENSE))
    parts.append(_session(found))
    if found.phrase.any() and not reading.exact:
        holds = found.phrase.astype(np.float32)
        parts.append(Part("phrase", holds, holds, PHRASE))
    for channel, weight, prior in _PRIORS:
        raw = prior(rows, projection, reading)
        if raw is not None:
            parts.append(Part(channel, raw, raw, weight))
    total = np.zeros(len(rows), np.float32)
    for part in parts:
        total += np.float32(part.weight) * part.calibrated
    return Fused(rows, total, tuple(parts))


def _session(found: Candidates) -> Part:
    """The session's share; a memory of no session is neither helped nor harmed."""
    member = ~np.isnan(found.session)
    raw = np.where(member, found.session, np.float32(0))
    value = np.where(member, calibrated(raw, found.core & member), np.float32(0))
    return Part("session", raw, value, SESSION)


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
    return said.astype(np.float32)


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


def _question(rows: Rows, projection: Projection, reading: Reading) -> Scores | None:
    return None if reading.about_questions else projection.lexical.asks[rows].astype(np.float32)


def _priority(rows: Rows, projection: Projection, reading: Reading) -> Scores | None:
    return (projection.columns.numbers["priority"][rows] - 0.5).astype(np.float32)


_Prior = Callable[[Rows, Projection, Reading], "Scores | None"]
_PRIORS: tuple[tuple[str, float, _Prior], ...] = (
    ("speaker", SPEAKER, _speaker),
    ("time", TIME, _time),
    ("question", QUESTION, _question),
    ("priority", PRIORITY, _priority),
)
