"""Times of the clock: "5pm", "8:30 in the evening", "17:05 UTC", "3pm PST", "noon".

An hour without "am" or "pm" is read as people mean it: one to six is the afternoon, seven to eleven
the morning, unless a part of the day or the 24-hour form says otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone, tzinfo

from memos.extraction.times.calendar import DAY, Stretch, last_weekday, midnight
from memos.extraction.times.utterance import Utterance
from memos.extraction.times.words import (
    CIVIL_ZONES,
    FIXED_ZONES,
    NUMBERS,
    zone_of,
)
from memos.types import Granularity

_CLOCK = re.compile(
    r"(?P<h>\d{1,2})(?:[:.](?P<m>[0-5]\d)(?::(?P<s>[0-5]\d)(?:\.\d{1,9})?)?)?"
    r"(?:\s{0,2}(?P<half>[ap])(?:\.\s?m\.|m\b))?(?![\d%°])",
    re.I,
)
_OFFSET = re.compile(
    r"\s?(?:UTC|GMT)?\s?(?P<sign>[+-−])(?P<h>\d{1,2})(?::?(?P<m>\d\d))?(?!\d)", re.I
)
_LEADS = frozenset(
    {"at", "by", "until", "till", "til", "since", "from", "around", "before", "after"}
)


@dataclass(frozen=True, slots=True)
class ClockTime:
    """`certain`: the hour is of 24; otherwise it may be either half of the day."""

    hour: int
    minute: int | None
    second: int | None
    certain: bool
    zone: tuple[str, int] | None = None


def clock_at(u: Utterance, i: int) -> tuple[ClockTime, int] | None:
    """The clock time whose tokens start at `i`, licensed or not, and the index behind it."""
    named = {"noon": 12, "midday": 12, "midnight": 24}.get(u.word(i))
    if named:
        return ClockTime(named, None, None, True), i + 1
    found = _spoken(u, i) if u.word(i) in NUMBERS else _written(u, i)
    if found is None or found[0].hour > 24:
        return None
    return _with_zone(u, *found)


def _spoken(u: Utterance, i: int) -> tuple[ClockTime, int] | None:
    """ "five pm", "seven o'clock"."""
    hour = NUMBERS[u.word(i)]
    half = _half(u, i + 1)
    if hour > 12 or half is None:
        return None
    return _of_half(hour, None, None, half[0]), half[1]


def _half(u: Utterance, i: int) -> tuple[str, int] | None:
    if u.word(i) in {"am", "pm"}:
        return u.word(i)[0], i + 1
    if u.word(i) == "o" and u.word(i + 1) == "'" and u.word(i + 2) == "clock":
        return "", i + 3
    return ("", i + 1) if u.word(i) == "oclock" else None


def _of_half(hour: int, minute: int | None, second: int | None, half: str) -> ClockTime:
    if not half:
        return ClockTime(hour, minute, second, False)
    return ClockTime(hour % 12 + (12 if half == "p" else 0), minute, second, True)


def _written(u: Utterance, i: int) -> tuple[ClockTime, int] | None:
    if not u.word(i)[:1].isdecimal() or not u.tokens.free(i):
        return None
    text, start = u.tokens.text, u.tokens.starts[i]
    match = _CLOCK.match(text, start)
    if match is None:
        return None
    digits = match["h"]
    if not digits.isascii():
        return None
    dotted = match["m"] and text[match.end("h")] == "."
    if dotted and not match["half"]:
        return None
    hour, half = int(digits), (match["half"] or "").lower()
    if half and not 1 <= hour <= 12:
        return None
    minute = int(match["m"]) if match["m"] else None
    second = int(match["s"]) if match["s"] else None
    after = u.tokens.at(match.end(), i)
    if not half and minute is None and (oclock := _half(u, after)):
        after = oclock[1]
    clock = _of_half(hour, minute, second, half)
    if minute is not None and (hour > 12 or digits.startswith("0")):
        clock = replace(clock, certain=True)
    return clock, after


def _with_zone(u: Utterance, clock: ClockTime, i: int) -> tuple[ClockTime, int]:
    word = u.word(i)
    if word in FIXED_ZONES:
        minutes, after = FIXED_ZONES[word], i + 1
        offset = _OFFSET.match(u.tokens.text, u.tokens.ends[i]) if word in {"utc", "gmt"} else None
        if offset:
            minutes, after = _minutes(offset), u.tokens.at(offset.end(), i)
        if u.tokens.raw[i].isupper() or clock.certain:
            return replace(clock, certain=True, zone=("fixed", minutes)), after
    short = len(word) == 2
    if word in CIVIL_ZONES and (u.tokens.raw[i].isupper() if short else u.tokens.capital(i)):
        after = u.tokens.skip(i + 1, "time")
        return replace(clock, zone=("civil", CIVIL_ZONES[word])), after
    return clock, i


def _minutes(offset: re.Match[str]) -> int:
    minutes = int(offset["h"]) * 60 + int(offset["m"] or 0)
    return minutes if offset["sign"] == "+" else -minutes


def licensed(u: Utterance, i: int, clock: ClockTime, after: int) -> bool:
    """Whether it is a time at all: "7" and "3:2" alone are not."""
    if u.word(after) in {"old", "%"}:
        return False
    if clock.minute is None:
        return clock.certain or u.word(after - 1) in {"clock", "oclock"}
    if clock.certain or clock.zone is not None:
        return True
    lead = i - 1
    while u.word(lead) in {"about", "around", "like", "exactly"}:
        lead -= 1
    return u.word(lead) in _LEADS or u.word(i - 1) in _LEADS


def placed(clock: ClockTime, on: datetime, part: str) -> Stretch:
    """The clock time on that day; at night the small hours belong to the next day."""
    hour = clock.hour
    if not clock.certain:
        hour = _meant(hour, part)
    elif part == "night" and hour < 6:
        hour += 24
    start = midnight(on) + timedelta(
        hours=hour, minutes=clock.minute or 0, seconds=clock.second or 0
    )
    zone = _zone(clock.zone, start)
    if clock.minute is None:
        return Stretch(start, start + timedelta(hours=1), Granularity.HOUR, zone=zone)
    if clock.second is None:
        return Stretch(start, start + timedelta(minutes=1), Granularity.MINUTE, zone=zone)
    return Stretch(start, start + timedelta(seconds=1), Granularity.SECOND, zone=zone)


def _meant(hour: int, part: str) -> int:
    if hour > 12:
        return hour
    if part == "night":
        return hour + 12 if 5 <= hour <= 12 else hour + 24
    if part == "morning":
        return hour % 12
    if part:
        return hour % 12 + 12
    return hour + 12 if 1 <= hour <= 6 else hour


def _zone(named: tuple[str, int] | None, local: datetime) -> tzinfo | None:
    if named is None:
        return None
    kind, value = named
    if kind == "fixed":
        return zone_of(value)
    return timezone(timedelta(hours=value + _american_summer(local)))


def _american_summer(local: datetime) -> bool:
    """From 2:00 on the second Sunday of March to 2:00 on the first of November (since 2007)."""
    year, two = local.year, timedelta(hours=2)
    begin = last_weekday(6, datetime(year, 3, 8) + 7 * DAY).start + two
    end = last_weekday(6, datetime(year, 11, 1) + 7 * DAY).start + two
    return begin <= local < end
