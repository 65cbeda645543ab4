"""What is being read: the tokens, the moment they were said, and what was read from them so far.

The readers of expressions share these two nouns; neither knows any expression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone, tzinfo

from memos.extraction.times.calendar import Stretch, day, latest, midnight, soonest
from memos.extraction.times.tense import Tense, tense_at
from memos.extraction.times.tokens import Tokens
from memos.types import Granularity

DEPTH = 4
_DEADLINES = frozenset({"until", "till", "til", "by", "for"})


@dataclass(frozen=True, slots=True)
class Reading:
    """Tokens `first` up to `after` mean `stretch`.

    `day`: the day on which it lies, to which a clock time can be added; `part` of that day, if
    named. `of_year`: what it would mean in another year, where none was named. `role`: empty where
    the preposition in front decides.
    """

    first: int
    after: int
    stretch: Stretch
    day: datetime | None = None
    part: str = ""
    role: str = ""
    of_year: Callable[[int], Stretch] | None = None


class Utterance:
    """A text said at a moment. `read` reads the one expression that starts at a token, if any."""

    def __init__(
        self,
        text: str,
        said_at: datetime,
        zone: tzinfo,
        read: Callable[[Utterance, int], Reading | None],
    ) -> None:
        self.tokens = Tokens(text)
        self.said_at = said_at.astimezone(timezone.utc)
        self.zone = zone
        self.now = said_at.astimezone(zone).replace(tzinfo=None, fold=0)
        self.today = midnight(self.now)
        self._read = read
        self._depth = 0
        self._seen: dict[tuple[int, int], Reading | None] = {}

    def word(self, i: int) -> str:
        return self.tokens.word(i)

    def read(self, i: int) -> Reading | None:
        """The expression at `i`, an article in front of it passed over.

        An expression may hold others ("the end of the week before last May"); beyond `DEPTH` of
        them it is nonsense, and reading it would take more than linear time.
        """
        if self._depth == DEPTH:
            return None
        key = (i, self._depth)
        if key not in self._seen:
            self._depth += 1
            try:
                self._seen[key] = self._read(self, self.tokens.skip(i, "the"))
            finally:
                self._depth -= 1
        return self._seen[key]

    def tense(self, first: int, after: int) -> Tense:
        return tense_at(self.tokens, first, after)

    def forward(self, first: int, after: int, *, gift: bool = False) -> bool | None:
        """Whether what stands at these tokens is to come; None where nothing tells.

        "Booked for Friday" is to come; as a `gift`, "got it for Christmas", it need not be.
        """
        lead = first - 1
        while self.word(lead) in {"the", "at", "least", "about", "around", "early", "late", "mid"}:
            lead -= 1
        if self.word(lead) == "since":
            return False
        if self.word(lead) == "for" and not gift:
            return True
        tense = self.tense(first, after)
        if tense in {Tense.PAST, Tense.PERFECT}:
            return False
        if tense is Tense.FUTURE or self.word(lead) in _DEADLINES:
            return True
        return None

    def pick(
        self, of_year: Callable[[int], Stretch], first: int, after: int, *, gift: bool = False
    ) -> Stretch:
        """The year that is meant where none is named.

        The past one or the coming one as the tense says. Without a tense a day is taken to come if
        the verb is in the present; otherwise the past one, unless the coming one is far nearer.
        """
        forward = self.forward(first, after, gift=gift)
        past, coming = latest(of_year, self.now), soonest(of_year, self.now)
        if forward is None and past.granularity is Granularity.DAY:
            forward = self.tense(first, after) is Tense.PRESENT or None
        if forward is None:
            forward = past.end <= self.now and (coming.start - self.now) * 3 < self.now - past.end
        return coming if forward else past

    def yearless(
        self, first: int, after: int, of_year: Callable[[int], Stretch], *, gift: bool = False
    ) -> Reading:
        """A reading of something that comes every year."""
        stretch = self.pick(of_year, first, after, gift=gift)
        on = stretch.start if stretch.granularity is Granularity.DAY else None
        return Reading(first, after, stretch, day=on, of_year=of_year)

    def dated(self, first: int, after: int, moment: datetime) -> Reading:
        """A reading of one day."""
        return Reading(first, after, day(moment), day=midnight(moment))


def known(reading: Reading) -> Reading:
    """The reading as one that does not depend on when it was said."""
    return replace(reading, stretch=reading.stretch.known(), of_year=None)
