"""Finds the expressions of a text, left to right, and turns each into a period.

The readers of the single forms stand in the modules beside; this one knows which words they begin
with, joins two times to a range, and reads the preposition in front.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo

from memos.errors import InvalidInput
from memos.extraction.times.adjacent import ADJECTIVES, read_adjacent
from memos.extraction.times.counted import read_counted
from memos.extraction.times.dates import (
    read_day_first,
    read_feast,
    read_month,
    read_season,
    read_spelled_day,
)
from memos.extraction.times.days import (
    NEAR,
    read_near,
    read_other,
    read_the_weekend,
    read_weekday,
)
from memos.extraction.times.holidays import FIRST_WORDS
from memos.extraction.times.numeric import (
    read_decade,
    read_numeric,
    read_quarter,
    read_short_year,
    read_year,
)
from memos.extraction.times.parts import THIRDS, read_beside, read_ordinal, read_third
from memos.extraction.times.ranges import read_range
from memos.extraction.times.timed import read_clock, read_hours
from memos.extraction.times.utterance import Reading, Utterance
from memos.extraction.times.words import (
    DECADES,
    MONTHS,
    NUMBERS,
    ORDINALS,
    PARTS,
    SEASONS,
    SHORT_MONTHS,
    SHORT_WEEKDAYS,
    SPELLED_DAYS,
    TENS,
    WEEKDAYS,
)
from memos.types import Period

Reader = Callable[[Utterance, int], Reading | None]
_DIGITS: tuple[Reader, ...] = (
    read_numeric, read_hours, read_day_first, read_decade, read_year, read_counted, read_clock,
    read_ordinal,
)  # fmt: skip


def _starters() -> dict[str, tuple[Reader, ...]]:
    """For each word that an expression can begin with, its readers."""
    found: dict[str, list[Reader]] = {}
    units = ("day", "week", "weekend", "month", "year", "quarter", "decade")
    # fmt: off
    table: tuple[tuple[Iterable[str], Reader], ...] = (
        (NEAR, read_near),
        (ADJECTIVES, read_adjacent),
        ((*WEEKDAYS, *SHORT_WEEKDAYS), read_weekday),
        ((*MONTHS, *SHORT_MONTHS), read_month),
        (SEASONS, read_season),
        (FIRST_WORDS, read_feast),
        ((*NUMBERS, *TENS, "a", "an", "half", "few", "several", "couple"), read_counted),
        ((*NUMBERS, "noon", "midday", "midnight"), read_clock),
        (THIRDS, read_third),
        (ORDINALS, read_ordinal),
        (SPELLED_DAYS, read_spelled_day),
        ((*units, *PARTS, *WEEKDAYS, *SEASONS), read_beside),
        (("weekend",), read_the_weekend),
        (("other",), read_other),
        (("'", "’"), read_short_year),
        (DECADES, read_decade),
        (("q",), read_quarter),
    )
    # fmt: on
    for words, reader in table:
        for word in words:
            found.setdefault(word, []).append(reader)
    return {word: tuple(readers) for word, readers in found.items()}


_STARTERS = _starters()


@dataclass(frozen=True, slots=True)
class TimeMention:
    """`text` stands at characters `start` to `end` and means `period`.

    `role` is how the preposition in front turns it: "at", "since", "until", "before", "after",
    "during" or "for" (a duration, up to `said_at`). `exact`: it means the same whenever it is said.
    """

    start: int
    end: int
    text: str
    period: Period
    role: str
    exact: bool


def find_times(
    text: str, said_at: datetime, *, zone: tzinfo = timezone.utc
) -> tuple[TimeMention, ...]:
    """The times named in `text`, said at `said_at` by someone whose days are those of `zone`.

    In the order of the text, without overlaps. Any text is accepted; what names no time of the
    calendar ("31/02/2023", "9999 years ago") is left out. Takes time linear in the text.
    Raises `InvalidInput` if `said_at` has no time zone.
    """
    if said_at.tzinfo is None or said_at.utcoffset() is None:
        raise InvalidInput(
            f"said_at is {said_at.isoformat()}, which has no time zone; pass an aware datetime",
            field="said_at",
        )
    try:
        u = Utterance(text, said_at, zone, read)
    except OverflowError:  # the zone's local time is before year 1 or after 9999
        return ()
    found: list[TimeMention] = []
    i = 0
    while i < len(u.tokens):
        reading = read_range(u, i) if _begins(u, i) else None
        mention = _mention(u, reading) if reading is not None else None
        if reading is not None and mention is not None:
            found.append(mention)
            i = reading.after
        else:
            i += 1
    return tuple(found)


def _begins(u: Utterance, i: int) -> bool:
    word = u.tokens.words[i]
    return word in _STARTERS or word[0].isdecimal()


def read(u: Utterance, i: int) -> Reading | None:
    """The longest single expression that starts at token `i`."""
    word = u.word(i)
    readers = _STARTERS.get(word) or (_DIGITS if word[:1].isdecimal() else ())
    best: Reading | None = None
    for reader in readers:
        try:
            found = reader(u, i)
        except (ValueError, OverflowError):  # not on the calendar: 30 February, year 12000
            continue
        if found is not None and (best is None or found.after > best.after):
            best = found
    return best


_ROLES = {
    "since": "since", "until": "until", "till": "until", "til": "until", "through": "until",
    "thru": "until", "before": "before", "by": "before", "after": "after", "during": "during",
    "throughout": "during", "over": "during", "within": "during", "all": "during",
    "starting": "since", "beginning": "since",
}  # fmt: skip
_PASSED = frozenset(
    {"the", "about", "around", "roughly", "approximately", "just", "maybe", "like", "sometime",
     "at", "least", "in", "on", "back", "only", "almost", "nearly", "probably", "circa", "from",
     "of", "to", "early", "late", "as"}
)  # fmt: skip
_CALLS = frozenset(
    {"come", "came", "coming", "stop", "stopped", "stopping", "drop", "dropped", "swing", "swung",
     "pass", "passed", "went", "go", "going", "nearby"}
)  # fmt: skip
_PHRASES = {("as", "of"): "since", ("prior", "to"): "before", ("up", "to"): "until"}


def _mention(u: Utterance, reading: Reading) -> TimeMention | None:
    try:
        period = reading.stretch.period(u.zone)
    except (ValueError, OverflowError):
        return None
    start = u.tokens.starts[reading.first]
    end = u.tokens.ends[reading.after - 1]
    text = u.tokens.text[start:end]
    return TimeMention(start, end, text, period, _role(u, reading), reading.stretch.exact)


def _role(u: Utterance, reading: Reading) -> str:
    """What the reading says of itself, else the preposition in front, hedges passed over."""
    if reading.role:
        return reading.role
    if u.word(reading.after) in {"on", "onward", "onwards", "forward"} and (
        u.word(reading.first - 1) == "from"
    ):
        return "since"
    for at in range(reading.first - 1, reading.first - 6, -1):
        word = u.word(at)
        if (u.word(at - 1), word) in _PHRASES:
            return _PHRASES[u.word(at - 1), word]
        if word in _ROLES:
            # "come by tomorrow", "not at all last night"
            adverb = u.word(at - 1) in (_CALLS if word == "by" else {"at"})
            return "at" if adverb and word in {"by", "all"} else _ROLES[word]
        if word not in _PASSED:
            break
    coming = u.word(reading.first - 1) == "from" and reading.stretch.start > u.now
    return "since" if coming else "at"
