""" "Last", "this" and "next" before a unit or a name: "last Friday", "the past year".

"Last week", "next month" are whole calendar units. "Last Friday" is the latest Friday before today
and "next Friday" the first one after it; likewise months, seasons, holidays and weekends. "The past
week", "the last three months", "the next few days" roll: they end or begin at the moment of speech.
"""

from __future__ import annotations

from datetime import datetime

from memos.extraction.times.amounts import Amount, amount_at
from memos.extraction.times.calendar import (
    DAY,
    Stretch,
    last_weekday,
    latest,
    next_weekday,
    on_weekday,
    part,
    season,
    soonest,
    unit,
    weekend,
)
from memos.extraction.times.counted import ahead, behind
from memos.extraction.times.dates import (
    OfYear,
    after_now,
    before_now,
    compound,
    month_at,
    yearly_at,
)
from memos.extraction.times.days import nearest_weekend, weekday, weekday_at
from memos.extraction.times.timed import with_time
from memos.extraction.times.utterance import Reading, Utterance
from memos.extraction.times.words import (
    DOUBTFUL_MONTHS,
    FUNCTION_WORDS,
    PARTS,
    RECURRENT,
    SEASONS,
    SHORT_WEEKDAYS,
    WEEKDAYS,
)
from memos.types import Granularity

ADJECTIVES = {
    "last": -1, "past": -1, "this": 0, "these": 0, "next": 1, "coming": 1, "upcoming": 1,
}  # fmt: skip
_CALENDAR = frozenset({"week", "fortnight", "month", "quarter", "year", "decade"})
_UNITS = {unit: unit for unit in _CALENDAR} | {"wk": "week", "yr": "year"}
_VERBS = frozenset({"be", "not", "have", "also", "never", "seem", "well", "sound", "come", "help"})


def read_adjacent(u: Utterance, i: int) -> Reading | None:
    """Whatever begins with one of the adjectives."""
    if u.word(i - 1) in RECURRENT or not u.tokens.free(i):
        return None
    word, at = u.word(i), i + 1
    if word in {"this", "these"} and u.word(at) in {"last", "past", "next", "coming", "upcoming"}:
        return _of(u, i, at + 1, u.word(at), definite=u.word(at) == "past")
    return _of(u, i, at, word, definite=word == "past" or u.word(i - 1) == "the")


def _of(u: Utterance, i: int, at: int, word: str, *, definite: bool) -> Reading | None:
    shift, noun = ADJECTIVES[word], u.word(at)
    if shift and (rolling := _counted(u, i, at, shift)):
        return rolling
    if word == "these":
        return None
    if word == "this" and noun == "time":
        return _this_time(u, i, at + 1)
    if noun in _UNITS:
        return _calendar(u, i, at, shift, definite)
    if noun == "weekend":
        return None if _hangs(u, at + 1) else _weekend(u, i, at + 1, word)
    if noun in PARTS:
        return _part(u, i, at, word)
    number = WEEKDAYS.get(noun, SHORT_WEEKDAYS.get(noun) if u.tokens.capital(at) else None)
    if number is not None:
        return _weekday(u, i, at, word, number)
    return _yearly(u, i, at, word)


def _counted(u: Utterance, i: int, at: int, shift: int) -> Reading | None:
    """ "the last three years", "next few days"."""
    found = amount_at(u, at) if u.word(at) not in {"a", "an"} else None
    if found is None:
        return None
    amount, after = found
    plural = u.word(after - 1).endswith("s") or amount.high > 1
    if not plural or amount.unit in {"night", "weekend", "second"} or _hangs(u, after, ago=True):
        return None
    return Reading(i, after, _rolling(u, amount, shift), role=_role(u, i))


def _rolling(u: Utterance, amount: Amount, shift: int) -> Stretch:
    return behind(u, amount) if shift < 0 else ahead(u, amount)


def _role(u: Utterance, i: int) -> str:
    lead = u.word(i - 1) if u.word(i - 1) != "the" else u.word(i - 2)
    return "for" if lead == "for" else "during"


def _hangs(u: Utterance, i: int, *, ago: bool = False) -> bool:
    """ "the last week of school": of something that has its own time."""
    following = u.word(i)
    return following == "of" or (ago and following in {"before", "after", "old"})


def _this_time(u: Utterance, i: int, at: int) -> Reading | None:
    """ "this time last year": the month (or week, or day) around that moment."""
    if u.word(at) not in {"last", "next"} or u.word(at + 1) not in {"year", "month", "week"}:
        return None
    shift = ADJECTIVES[u.word(at)]
    if u.word(at + 1) == "year":
        return Reading(i, at + 2, unit("month", u.now, 12 * shift))
    return Reading(i, at + 2, unit(u.word(at + 1), u.now, shift))


def _calendar(u: Utterance, i: int, at: int, shift: int, definite: bool) -> Reading | None:
    """ "last week", "this year"; "the past month" rolls; "the next week" is told from a story."""
    name, after = _UNITS[u.word(at)], at + 1
    if definite and shift:
        if _hangs(u, after) or (shift > 0 and not u.forward(i, after)):
            return None
        return Reading(i, after, _rolling(u, Amount(1, 1, name), shift), role=_role(u, i))
    if _hangs(u, after):
        return None
    whole = unit(name, u.now, shift)
    return _within(u, i, after, name, whole) or Reading(i, after, whole)


def _within(u: Utterance, i: int, after: int, name: str, whole: Stretch) -> Reading | None:
    """ "last week on Friday", "last year in May"."""
    at = u.tokens.skip(u.tokens.skip(after, ","), "on", "in", "at", "around")
    number = weekday_at(u, at) if name == "week" else None
    if number is not None and at > after:
        return with_time(u, u.dated(i, at + 1, on_weekday(number, whole.start).start))
    if name != "year" or at == after or u.word(at) in ADJECTIVES:
        return None
    found = u.read(at)
    if found is None or found.of_year is None:
        return None
    stretch = found.of_year(whole.start.year)
    on = stretch.start if stretch.granularity is Granularity.DAY else None
    return Reading(i, found.after, stretch, day=on)


def _weekend(u: Utterance, i: int, after: int, word: str) -> Reading | None:
    shift = ADJECTIVES[word]
    if shift < 0:
        # Past midnight of Saturday "last weekend" is the one before; "past" may be this one.
        found = nearest_weekend(u, forward=False, whole=word == "last")
    elif shift > 0:
        found = nearest_weekend(u, forward=True, whole=True)
    else:
        found = nearest_weekend(u, forward=u.forward(i, after) is not False)
    return Reading(i, after, found)


def _part(u: Utterance, i: int, at: int, word: str) -> Reading | None:
    """ "this morning", "last night"; "the next morning" is told from a story."""
    name, after = u.word(at), at + 1
    if word in {"next", "coming", "upcoming"} or (word in {"last", "past"} and _hangs(u, after)):
        return None
    if word != "this" and name not in {"night", "evening"}:
        return None
    on = u.today + (0 if word == "this" else -1) * DAY
    stretch = part(on, PARTS[name])
    reading = Reading(i, after, stretch, day=on, part=name)
    return with_time(u, reading)


def _weekday(u: Utterance, i: int, at: int, word: str, number: int) -> Reading | None:
    after = at + 1
    if _hangs(u, after) or u.word(after) in {"nights", "mornings"}:
        return None
    if word == "next" and u.word(i - 1) == "the" and not u.forward(i, after):
        return None
    shift = ADJECTIVES[word]
    if shift:
        on = _weekday_beside(u, number, shift)
    elif u.today.weekday() == number and u.forward(i, after) is not False:
        on = u.today
    else:
        on = weekday(u, number, i, after)
    return with_time(u, u.dated(i, after, on))


def _weekday_beside(u: Utterance, number: int, sign: int) -> datetime:
    return (last_weekday if sign < 0 else next_weekday)(number, u.now).start


def _yearly(u: Utterance, i: int, at: int, word: str) -> Reading | None:
    """ "last May", "this summer", "next Christmas", "last June 5th"."""
    found = yearly_at(u, at)
    if found is None:
        return None
    of_year, after = found
    doubtful = u.word(at) in DOUBTFUL_MONTHS and month_at(u, at) is not None
    if doubtful and word == "this" and u.word(after) in _VERBS | FUNCTION_WORDS - {"i", "we"}:
        return None
    if u.word(at) in SEASONS and _hangs(u, after):
        return None
    if u.word(at) not in SEASONS and month_at(u, at) is None and compound(u, after):
        return None
    stretch = _in_turn(u, of_year, ADJECTIVES[word], i, after)
    on = stretch.start if stretch.granularity is Granularity.DAY else None
    return with_time(u, Reading(i, after, stretch, day=on))


def _in_turn(u: Utterance, of_year: OfYear, shift: int, i: int, after: int) -> Stretch:
    if shift < 0:
        return before_now(of_year, u.now)
    if shift > 0:
        return after_now(of_year, u.now)
    past, coming = latest(of_year, u.now), soonest(of_year, u.now)
    if past.granularity is Granularity.MONTH:
        return of_year(u.now.year)
    forward = u.forward(i, after)
    if forward is None:
        forward = coming.start - u.now < u.now - past.end
    return coming if forward or past.end > u.now else past


def read_before_last(u: Utterance, i: int) -> Reading | None:
    """ "the week before last", "the Friday after next", "the day before yesterday"."""
    name, after = u.word(i), i + 3
    sign = -1 if u.word(i + 1) == "before" else 1
    beyond = u.word(i + 2)
    if name == "day" and beyond == ("yesterday" if sign < 0 else "tomorrow"):
        return with_time(u, u.dated(i, after, u.today + 2 * sign * DAY))
    if beyond != ("last" if sign < 0 else "next") or u.word(after) in _UNITS | WEEKDAYS:
        return None
    if name in _UNITS:
        return Reading(i, after, unit(_UNITS[name], u.now, 2 * sign))
    if name == "weekend":
        near = nearest_weekend(u, forward=sign > 0, whole=True)
        return Reading(i, after, weekend(near.start, sign))
    if name == "night" and sign < 0:
        on = u.today - 2 * DAY
        return Reading(i, after, part(on, PARTS["night"]), day=on, part="night")
    return _weekday_before_last(u, i, sign)


def _weekday_before_last(u: Utterance, i: int, sign: int) -> Reading | None:
    number = WEEKDAYS.get(u.word(i))
    if number is not None:
        return with_time(u, u.dated(i, i + 3, _weekday_beside(u, number, sign) + 7 * sign * DAY))
    first = SEASONS.get(u.word(i))
    if first is None:
        return None

    def of_year(of: int) -> Stretch:
        return season(of, first)

    near_season = before_now(of_year, u.now) if sign < 0 else after_now(of_year, u.now)
    return Reading(i, i + 3, of_year(near_season.start.year + sign))
