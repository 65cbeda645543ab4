"""How much a text tells, and of when: told from its form once, when it is analysed.

Talk is full of turns that greet, thank, praise and ask; what is looked for later stands in those
that assert. And what happened "last summer" is told in spring: the times that a text speaks of,
resolved by when it was said, find it where the time of its telling does not. All this is kept
behind the text's terms as a mark that is no term. Rules for English; other languages get their
length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from memos.extraction.times import find_times
from memos.retrieval.projection.columns import Rows, grown

MOST_TIMES = 3
"""Of the times that a text speaks of, the first so many are kept."""
_OPEN = 2_000_000
"""Days beyond any calendar: an open end."""

_MARK = "#"
_READ = 4000
"""Characters of a text that are looked at: a document's beginning."""
_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\n+|\s+[-–—]\s+")
_OPENING = re.compile(
    r"(?:hey|hi|hello|thanks|thank you|wow|yeah|yep|yes|no|oh|congrat|that's|sounds|cool|awesome"
    r"|what's up|how's|long time|absolutely|totally|definitely|glad|exactly|sure)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]+")
_CHARS_PER_TERM = 6
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Telling:
    """`told`: characters of sentences that neither ask nor greet, thank, agree or praise at their
    start. `names`: words with a capital that no sentence begins with. `spoken`: the times it
    speaks of, as first day and day after the last, counted from 1970."""

    told: int
    names: int
    spoken: tuple[tuple[int, int], ...] = ()


def telling(text: str, said_at: datetime | None) -> Telling:
    """Of any text; one without words tells nothing. Without `said_at` it speaks of no time."""
    # A sentence that opens with praise is passed over as a whole: mostly it is all praise.
    text = text[:_READ].replace("’", "'")
    told = sum(
        len(sentence)
        for part in _SENTENCE.split(text)
        if (sentence := part.strip())
        and not sentence.endswith(("?", "？"))
        and not _OPENING.match(sentence)
    )
    return Telling(told=told, names=len(_NAME.findall(text)), spoken=_spoken(text, said_at))


def _spoken(text: str, said_at: datetime | None) -> tuple[tuple[int, int], ...]:
    if said_at is None:
        return ()
    periods = [found.period for found in find_times(text, said_at)]
    return tuple(
        (
            -_OPEN if period.start is None else int(period.start.timestamp() // _DAY),
            _OPEN if period.end is None else int(-(-period.end.timestamp() // _DAY)),
        )
        for period in periods[:MOST_TIMES]
    )


def marked(terms: str, found: Telling) -> str:
    """`terms`, joined by blanks, with the mark behind them."""
    spans = "".join(f";{first}:{end}" for first, end in found.spoken)
    return f"{terms} {_MARK}{found.told}.{found.names}{spans}".lstrip()


def unmarked(text: str) -> tuple[str, Telling]:
    """Undoes `marked`. Terms without a mark, of an older analyser, are taken to be assertions."""
    terms, _, mark = text.rpartition(" ")
    if not mark.startswith(_MARK):
        return text, Telling(told=_CHARS_PER_TERM * len(text.split()), names=0)
    counts, *spans = mark[1:].split(";")
    told, _, names = counts.partition(".")
    spoken = [span.partition(":") for span in spans]
    return terms, Telling(
        told=int(told),
        names=int(names),
        spoken=tuple((int(first), int(end)) for first, _, end in spoken),
    )


class Tellings:
    """The same of many memories as columns, by row. `spoken` has shape (rows, MOST_TIMES, 2); where
    there is no further time both days are 0."""

    def __init__(self) -> None:
        self.told: NDArray[np.int32] = np.zeros(0, np.int32)
        self.names: NDArray[np.int32] = np.zeros(0, np.int32)
        self.spoken: NDArray[np.int32] = np.zeros((0, MOST_TIMES, 2), np.int32)

    def put(self, rows: Rows, found: Sequence[Telling]) -> None:
        size = int(rows.max()) + 1
        self.told = grown(self.told, size, 0)
        self.names = grown(self.names, size, 0)
        self.spoken = grown(self.spoken, size, 0)
        self.told[rows] = [one.told for one in found]
        self.names[rows] = [one.names for one in found]
        self.spoken[rows] = 0
        for row, one in zip(rows.tolist(), found, strict=True):
            if one.spoken:
                self.spoken[row, : len(one.spoken)] = one.spoken

    @property
    def nbytes(self) -> int:
        return self.told.nbytes + self.names.nbytes + self.spoken.nbytes
