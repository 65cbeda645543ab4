"""Two times joined to one: "from 2018 to 2020", "between May and July", "May 5-7", "9am to 5pm".

A range runs from the start of its first time to the end of its last; between clock times it ends at
the last one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from memos.extraction.times.calendar import DAY, Stretch, coarser, day, latest, soonest
from memos.extraction.times.dates import year_behind
from memos.extraction.times.numeric import read_year
from memos.extraction.times.utterance import Reading, Utterance
from memos.types import Granularity

_JOINTS = frozenset({"to", "until", "till", "til", "through", "thru", "-", "–", "—"})
_CLOCK = frozenset({Granularity.HOUR, Granularity.MINUTE, Granularity.SECOND})
_LEADS = frozenset({"from", "between"})


def read_range(u: Utterance, i: int) -> Reading | None:
    """The expression at `i`, with the other end where it is a range."""
    lead = u.word(i - 1) if u.word(i - 1) != "the" else u.word(i - 2)
    first = u.read(i) if u.word(i) != "the" else None
    if first is None:
        first = _days(u, i, lead) or (read_year(u, i, ranged=True) if lead in _LEADS else None)
    if first is None or first.role:
        return first
    joint = u.word(first.after)
    if joint not in _JOINTS and not (joint == "and" and lead == "between"):
        return first
    try:
        return _joined(u, first, first.after + 1, open_=lead in _LEADS) or first
    except (ValueError, OverflowError):
        return first


def _days(u: Utterance, i: int, lead: str) -> Reading | None:
    """ "9 to 20 December": the first day takes its month from the last."""
    at = i + 2 if u.word(i + 1) in {"st", "nd", "rd", "th"} else i + 1
    text = u.word(i)
    if not text.isdecimal() or not text.isascii() or len(text) > 2 or not u.tokens.free(i):
        return None
    if u.word(at) not in _JOINTS and not (u.word(at) == "and" and lead == "between"):
        return None
    last = u.read(at + 1)
    if last is None or last.day is None or last.stretch.granularity is not Granularity.DAY:
        return None
    if (last.of_year is None and not last.stretch.exact) or not 1 <= int(text) < last.day.day:
        return None
    start = last.day.replace(day=int(text))
    return Reading(i, last.after, replace(last.stretch, start=start), role="during")


def _joined(u: Utterance, first: Reading, at: int, *, open_: bool) -> Reading | None:
    last = _last(u, first, at, open_=open_)
    if last is None or last.role or not (open_ or _alike(first, last)):
        return None
    begin, end = _both(u, first, last)
    if end <= begin.start:
        return None
    grain = coarser(begin.granularity, last.stretch.granularity)
    exact = begin.exact or (first.of_year is not None and last.stretch.exact)
    known = exact and (last.stretch.exact or last.of_year is not None)
    whole = replace(begin, end=end, granularity=grain, exact=known)
    return Reading(first.first, last.after, whole, role="during")


def _alike(first: Reading, last: Reading) -> bool:
    """Without "from" in front, only years, dates or clock times make a range."""
    kind = first.stretch.granularity
    if kind is not last.stretch.granularity and not {kind, last.stretch.granularity} <= _CLOCK:
        return False
    return first.of_year is not None or first.stretch.exact or kind in _CLOCK


def _last(u: Utterance, first: Reading, at: int, *, open_: bool) -> Reading | None:
    if open_ and u.word(at) in {"now", "today", "present"}:
        return Reading(at, at + 1, Stretch(u.now, u.now, first.stretch.granularity))
    found = u.read(at) or read_year(u, u.tokens.skip(at, "the"), ranged=True)
    return found or _day_alone(u, first, at)


def _day_alone(u: Utterance, first: Reading, at: int) -> Reading | None:
    """The 7 of "May 5-7, 2023"."""
    text, on = u.word(at), first.day
    if on is None or not text.isdecimal() or not text.isascii() or not 1 <= int(text) <= 31:
        return None
    if first.of_year is None and not first.stretch.exact:
        return None
    after = at + 2 if u.word(at + 1) in {"st", "nd", "rd", "th"} else at + 1
    if u.tokens.joined(after) and u.word(after)[:1].isalnum():
        return None
    month, number = on.month, int(text)

    def of_year(of: int) -> Stretch:
        return day(datetime(of, month, number))

    if found := year_behind(u, after):
        return Reading(at, found[1], replace(of_year(found[0]), exact=found[2]))
    return Reading(at, after, of_year(on.year), of_year=of_year)


def _both(u: Utterance, first: Reading, last: Reading) -> tuple[Stretch, datetime]:
    """The first stretch and the end of the last, each in the year that the other implies."""
    begin, ending = first.stretch, last.stretch
    if begin.granularity in _CLOCK and ending.granularity in _CLOCK:
        return _clocks(u, first, last)
    if first.of_year is not None and last.of_year is None:
        return latest(first.of_year, ending.start), ending.end
    if last.of_year is not None:
        return begin, soonest(last.of_year, begin.start).end
    if ending.end <= begin.start and last.day is not None and not ending.exact:
        return begin, ending.end + 7 * DAY
    return begin, ending.end


def _clocks(u: Utterance, first: Reading, last: Reading) -> tuple[Stretch, datetime]:
    begin, ending = first.stretch, last.stretch
    if first.day is not None and last.day is not None:
        # The day stands with one of them; the other one was put on today.
        shift = last.day - first.day
        if last.day != u.today:
            begin = replace(begin, start=begin.start + shift, exact=ending.exact)
        else:
            ending = replace(ending, start=ending.start - shift)
    begin = replace(begin, zone=begin.zone or ending.zone)
    end = ending.start if ending.start > begin.start else ending.start + DAY
    return begin, end
