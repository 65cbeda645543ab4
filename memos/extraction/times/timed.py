"""Clock times on their day: "yesterday at 5pm", "8:30 am today", "2-4pm", "Friday evening".

A clock time without a day is today's, or that of the day beside if the tense says so.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from memos.extraction.times.calendar import DAY, Stretch, midnight
from memos.extraction.times.clock import ClockTime, clock_at, licensed, placed
from memos.extraction.times.tense import Tense
from memos.extraction.times.utterance import Reading, Utterance
from memos.extraction.times.words import FUNCTION_WORDS, PARTS
from memos.types import Granularity


def with_time(u: Utterance, reading: Reading) -> Reading:
    """A reading of a day, with the part of the day and the clock time that follow it."""
    reading = _with_part(u, reading)
    if reading.day is None:
        return reading
    i = u.tokens.skip(reading.after, ",")
    at = u.tokens.skip(i, "at", "@", "around", "about", "from")
    if hours := _hours(u, at):
        begin, end = placed(hours[0], reading.day, ""), placed(hours[1], reading.day, "")
        whole = replace(begin, end=end.start, exact=reading.stretch.exact)
        return replace(reading, after=hours[2], stretch=whole, role="during", day=None)
    found = clock_at(u, at)
    if found is None or not (at > i or licensed(u, at, *found)):
        return reading
    clock, after = found
    if clock.minute is None and not clock.certain and not _bare_hour(u, at, clock, after):
        return reading
    if reading.stretch.granularity is not Granularity.DAY:
        return reading
    stretch = replace(placed(clock, reading.day, reading.part), exact=reading.stretch.exact)
    return _with_part(u, replace(reading, after=after, stretch=stretch), clock)


def _bare_hour(u: Utterance, i: int, clock: ClockTime, after: int) -> bool:
    """ "tomorrow at 7": an hour, unless it counts something or is part of a longer number."""
    following = u.word(after)
    clean = not following[:1].isalnum() or following in FUNCTION_WORDS - {"of"}
    glued = u.tokens.joined(after) and following in {"$", "%", "-", "/"}
    return 1 <= clock.hour <= 12 and clean and not glued and u.tokens.free(i)


def _with_part(u: Utterance, reading: Reading, clock: ClockTime | None = None) -> Reading:
    """ "… morning", "… in the evening", "… at night" behind a day or a clock time."""
    i = reading.after
    if u.word(i) == "in" and u.word(i + 1) == "the":
        i += 2
    elif u.word(i) == "at" and u.word(i + 1) == "night":
        i += 1
    name = u.word(i)
    if name not in PARTS or reading.part or reading.day is None:
        return reading
    if clock is not None:
        stretch = replace(placed(clock, reading.day, name), exact=reading.stretch.exact)
    else:
        stretch = _part(reading.day, name, reading.stretch.exact)
    return replace(reading, after=i + 1, part=name, stretch=stretch)


def _part(on: datetime, name: str, exact: bool) -> Stretch:
    begin, end = PARTS[name]
    start = midnight(on)
    hours = timedelta(hours=1)
    return Stretch(start + begin * hours, start + end * hours, Granularity.DAY, exact)


def read_clock(u: Utterance, i: int) -> Reading | None:
    """A clock time, with the day that follows it, or on the day on which it was said."""
    found = clock_at(u, i)
    if found is None:
        return None
    clock, after = found
    part = _with_part(u, Reading(i, after, placed(clock, u.today, ""), day=u.today), clock)
    hour = clock.minute is None and not _hour_at(u, i, clock)
    dated = _day_behind(u, part) if not hour or licensed(u, i, clock, after) else None
    if dated is not None:
        name = dated.part or part.part
        stretch = replace(placed(clock, dated.day or u.today, name), exact=dated.stretch.exact)
        return replace(dated, first=i, stretch=stretch, part=name, role="", of_year=None)
    if part.part and (clock.certain or _hour_at(u, i, clock) or clock.minute is not None):
        return _nearest(u, part)
    return _nearest(u, part) if licensed(u, i, clock, after) else None


def _hour_at(u: Utterance, i: int, clock: ClockTime) -> bool:
    return u.word(i - 1) in {"at", "around", "by", "until", "till", "from"} and clock.hour <= 12


def _day_behind(u: Utterance, reading: Reading) -> Reading | None:
    i = u.tokens.skip(reading.after, ",")
    i = u.tokens.skip(i, "on", "of")
    i = u.tokens.skip(i, "the")
    if (time := clock_at(u, i)) is not None and licensed(u, i, *time):
        return None
    found = u.read(i)
    if found is None or found.day is None:
        return None
    return found if found.stretch.granularity is Granularity.DAY else None


def _nearest(u: Utterance, reading: Reading) -> Reading:
    """Today, unless the tense says that it must have been yesterday or will be tomorrow."""
    tense = u.tense(reading.first, reading.after)
    stretch = reading.stretch
    shift = 0
    zone = stretch.zone or u.zone
    said = u.said_at.astimezone(zone).replace(tzinfo=None)
    if tense is Tense.PAST and stretch.start > said:
        shift = -1
    elif tense is Tense.FUTURE and stretch.end <= said:
        shift = 1
    moved = replace(stretch, start=stretch.start + shift * DAY, end=stretch.end + shift * DAY)
    return replace(reading, stretch=moved, day=(reading.day or u.today) + shift * DAY)


def _hours(u: Utterance, i: int) -> tuple[ClockTime, ClockTime, int] | None:
    if not u.word(i).isdecimal() or int(u.word(i)) > 12 or not u.tokens.free(i):
        return None
    if u.word(i + 1) not in {"-", "–", "to", "and", "until", "till"}:
        return None
    found = clock_at(u, i + 2) if u.word(i + 2).isdecimal() else None
    if found is None or not found[0].certain or found[0].minute is not None:
        return None
    last, after = found
    hour = int(u.word(i)) % 12 + (12 if last.hour >= 12 else 0)
    first = replace(last, hour=hour if hour < last.hour else hour - 12)
    return (first, last, after) if 0 <= first.hour < last.hour else None


def read_hours(u: Utterance, i: int) -> Reading | None:
    """ "2-4pm", "from 9 to 11am": the first hour takes its half of the day from the second."""
    found = _hours(u, i)
    if found is None:
        return None
    first, last, after = found
    ending = Reading(i, after, placed(last, u.today, ""), day=u.today)
    dated = _day_behind(u, ending)
    ending = _nearest(u, ending) if dated is None else replace(dated, first=i)
    on = ending.day or u.today
    start, end = placed(first, on, ""), placed(last, on, "")
    stretch = replace(start, end=end.start, exact=ending.stretch.exact)
    return replace(ending, stretch=stretch, role="during", day=None)
