"""Parts of longer times and neighbours of dates: "early June", "the end of the year", "the first
week of May", "the Friday before Christmas", "the morning of 5 May"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from memos.extraction.times.adjacent import read_before_last
from memos.extraction.times.calendar import (
    DAY,
    Stretch,
    day,
    edge,
    last_weekday,
    latest,
    next_weekday,
    part,
    season,
    soonest,
    third,
    unit,
    week,
    weekend,
)
from memos.extraction.times.timed import with_time
from memos.extraction.times.utterance import Reading, Utterance
from memos.extraction.times.words import ORDINALS, PARTS, SEASONS, WEEKDAYS
from memos.types import Granularity

THIRDS = {"early": 0, "mid": 1, "late": 2, "middle": 1, "beginning": 0, "start": 0, "end": 2}
_EDGES = frozenset({"beginning", "start", "end"})
_COARSE = frozenset(
    {Granularity.WEEK, Granularity.MONTH, Granularity.SEASON, Granularity.YEAR, Granularity.DECADE}
)
_WHOLES = frozenset({"week", "month", "quarter", "year", "decade"})


def read_third(u: Utterance, i: int) -> Reading | None:
    """ "early June", "mid-2019", "late last year", "the end of next month"."""
    word, at = u.word(i), i + 1
    if word in {"early", "mid", "late"}:
        at = u.tokens.skip(u.tokens.skip(at, "-"), "in")
    elif u.word(at) == "of":
        at += 1
    else:
        return None
    whole = _whole(u, at)
    if whole is None or whole.stretch.granularity not in _COARSE or whole.role:
        return None
    return replace(
        whole,
        first=i,
        stretch=_cut(whole.stretch, word),
        of_year=_cut_of(whole.of_year, word) if whole.of_year else None,
    )


def _whole(u: Utterance, at: int) -> Reading | None:
    """The longer time; "the year" is this one, "summer" the one that the tense says."""
    if u.word(at) == "the" and u.word(at + 1) in _WHOLES and u.word(at + 2) != "of":
        return Reading(at, at + 2, unit(u.word(at + 1), u.now))
    begin = u.tokens.skip(at, "the")
    if found := u.read(at):
        return found
    first = SEASONS.get(u.word(begin))
    if first is None or (u.word(begin) == "fall" and begin == at):
        return None
    return u.yearless(begin, begin + 1, lambda of: season(of, first))


def _cut(whole: Stretch, word: str) -> Stretch:
    if word in _EDGES:
        return edge(whole, first=word != "end")
    return third(whole, THIRDS[word])


def _cut_of(of_year: Callable[[int], Stretch], word: str) -> Callable[[int], Stretch]:
    return lambda of: _cut(of_year(of), word)


def read_ordinal(u: Utterance, i: int) -> Reading | None:
    """ "the first week of June", "the last Friday of the month", "2nd weekend in May"."""
    number, at = _ordinal(u, i)
    name = u.word(at)
    named = name in {"day", "week", "weekend"} or name in WEEKDAYS
    if not number or not named or u.word(at + 1) not in {"of", "in"}:
        return None
    whole = _whole(u, at + 2)
    if whole is None or whole.stretch.granularity not in {Granularity.MONTH, Granularity.YEAR}:
        return None
    if whole.stretch.granularity is Granularity.YEAR and name != "day":
        return None
    again = whole.of_year
    found = _nth(whole.stretch, number, name)
    on = found.start if found.granularity is Granularity.DAY else None
    return with_time(u, Reading(
        i, whole.after, found, day=on,
        of_year=(lambda of: _nth(again(of), number, name)) if again else None,
    ))  # fmt: skip


def _ordinal(u: Utterance, i: int) -> tuple[int, int]:
    if u.word(i) in ORDINALS:
        return ORDINALS[u.word(i)], i + 1
    return ORDINALS.get(u.word(i) + u.word(i + 1), 0), i + 2


def _nth(whole: Stretch, number: int, name: str) -> Stretch:
    """The n-th (-1: last) within. The first week of a month is its days 1 to 7."""
    if name in {"day", "week"}:
        size = (7 if name == "week" else 1) * DAY
        start = whole.start + (number - 1) * size if number > 0 else whole.end - size
        grain = Granularity.WEEK if name == "week" else Granularity.DAY
        found = Stretch(start, min(start + size, whole.end), grain)
    else:
        weekday = 5 if name == "weekend" else WEEKDAYS[name]
        if number > 0:
            found = next_weekday(weekday, whole.start - DAY)
            found = day(found.start + 7 * (number - 1) * DAY)
        else:
            found = last_weekday(weekday, whole.end)
        found = weekend(found.start) if name == "weekend" else found
    if not whole.start <= found.start < whole.end:
        raise ValueError(f"no {name} number {number} there")
    return replace(found, exact=whole.exact)


def read_beside(u: Utterance, i: int) -> Reading | None:
    """ "the week before 9 June", "the Friday after Christmas", "the night of May 5"."""
    relation = u.word(i + 1)
    if relation in {"before", "after"} and (found := read_before_last(u, i)):
        return found
    if u.word(i - 1) not in {"the", "on", ",", ""} and relation != "of":
        return None
    if relation == "of":
        return _part_of(u, i)
    anchor = u.read(i + (3 if relation == "prior" else 2))
    if anchor is None or anchor.stretch.granularity in {
        Granularity.HOUR, Granularity.MINUTE, Granularity.SECOND,
    }:  # fmt: skip
        return None
    sign = 1 if relation == "after" else -1
    stretch = replace(_neighbour(u, u.word(i), anchor, sign), exact=anchor.stretch.exact)
    on = stretch.start if stretch.granularity is Granularity.DAY else None
    named = u.word(i) in PARTS
    reading = Reading(i, anchor.after, stretch, day=None if named else on)
    return with_time(u, reading)


def _part_of(u: Utterance, i: int) -> Reading | None:
    """ "the morning of May 5", "the week of June 9"."""
    anchor = u.read(i + 2)
    if anchor is None or anchor.day is None:
        return None
    if u.word(i) in {"week", "weekend"}:
        whole = (week if u.word(i) == "week" else weekend)(anchor.day)
        found = replace(whole, exact=anchor.stretch.exact)
        return Reading(i, anchor.after, found)
    if u.word(i) not in PARTS or anchor.part:
        return None
    stretch = replace(part(anchor.day, PARTS[u.word(i)]), exact=anchor.stretch.exact)
    return replace(anchor, first=i, stretch=stretch, part=u.word(i), of_year=None, role="")


def _neighbour(u: Utterance, name: str, anchor: Reading, sign: int) -> Stretch:
    whole = anchor.stretch
    short = whole.granularity in {Granularity.DAY, Granularity.WEEK}
    if name in PARTS:
        shift = sign if name != "night" or sign < 0 else 0
        on = anchor.day or (whole.start if sign < 0 else whole.end - DAY)
        return part(on + (shift or sign) * DAY, PARTS[name])
    if name == "day":
        return day(whole.start - DAY if sign < 0 else whole.end)
    if name in WEEKDAYS:
        found = last_weekday(WEEKDAYS[name], whole.start)
        return found if sign < 0 else next_weekday(WEEKDAYS[name], whole.end - DAY)
    if name == "weekend":
        near = weekend(whole.start, -1) if sign < 0 else weekend(whole.end - DAY, 1)
        here = weekend(whole.start if sign < 0 else whole.end - DAY)
        fits = here.end <= whole.start if sign < 0 else here.start >= whole.end
        return here if fits else near
    if name in SEASONS:
        return _season(SEASONS[name], whole, sign)
    if short or name in {"month", "year", "quarter", "decade"}:
        return unit(name, whole.start if sign < 0 else whole.end - timedelta(seconds=1), sign)
    return week(whole.start - DAY if sign < 0 else whole.end)


def _season(first: int, whole: Stretch, sign: int) -> Stretch:
    def of_year(of: int) -> Stretch:
        return season(of, first)

    if sign > 0:
        found = soonest(of_year, whole.end)
        return found if found.start >= whole.end else of_year(found.start.year + 1)
    found = latest(of_year, whole.start)
    return found if found.end <= whole.start else of_year(found.start.year - 1)
