"""Counted units: "two weeks ago", "in a few days", "for three years", "two days before Christmas".

"N weeks ago" is the whole calendar week N before this one, likewise months, years and so on; "a
few" is two to four, "several" three to seven. A duration ("for three years") ends now, if the
tense lets it last until now; else it is not placed in time and not read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from memos.extraction.times.amounts import Amount, amount_at, number_at
from memos.extraction.times.calendar import (
    DAY,
    Stretch,
    day,
    last_weekday,
    moved,
    next_weekday,
    on_weekday,
    part,
    season,
    unit,
    weekend,
)
from memos.extraction.times.dates import before_now
from memos.extraction.times.days import weekday_at
from memos.extraction.times.holidays import feast_at
from memos.extraction.times.tense import Tense
from memos.extraction.times.timed import with_time
from memos.extraction.times.utterance import Reading, Utterance
from memos.extraction.times.words import (
    PARTS,
    RECURRENT,
    SEASON_PLURALS,
    SEASONS,
    WEEKDAY_PLURALS,
)
from memos.types import Granularity

_GRANULARITY = {
    "second": Granularity.SECOND, "minute": Granularity.MINUTE, "hour": Granularity.HOUR,
    "day": Granularity.DAY, "night": Granularity.DAY, "week": Granularity.WEEK,
    "weekend": Granularity.WEEK, "fortnight": Granularity.WEEK, "month": Granularity.MONTH,
    "quarter": Granularity.SEASON, "year": Granularity.YEAR, "decade": Granularity.DECADE,
}  # fmt: skip
_CLOCKED = frozenset({"second", "minute", "hour"})
_HEDGES = frozenset(
    {"about", "around", "almost", "nearly", "over", "roughly", "like", "maybe", "just", "only",
     "approximately", "at", "least", "well", "probably", "under"}
)  # fmt: skip


def read_counted(u: Utterance, i: int) -> Reading | None:
    """Whatever begins with a number of units."""
    if u.word(i - 1) in RECURRENT or not u.tokens.free(i):
        return None
    if named := _named_ago(u, i):
        return named
    found = amount_at(u, i)
    if found is None:
        return None
    amount, after = found
    if compound := _compound_ago(u, i, amount, after):
        return compound
    following = u.word(after)
    if following == "ago" or (following == "back" and _backward(u, after + 1)):
        return _ago(u, i, after + 1, amount)
    if following in {"from", "hence"} and (ahead := _from(u, i, after, amount)):
        return ahead
    if following in {"before", "after"} or (following == "prior" and u.word(after + 1) == "to"):
        return _beside(u, i, after, amount)
    if u.word(_lead(u, i)) in {"in", "within"}:
        return _in(u, i, after, amount)
    return _lasting(u, i, after, amount)


def _compound_ago(u: Utterance, i: int, amount: Amount, after: int) -> Reading | None:
    """ "two years and three months ago": both back from now, as exact as the smaller."""
    at = u.tokens.skip(after, ",", "and")
    second = amount_at(u, at) if at > after else None
    if second is None or u.word(second[1]) != "ago":
        return None
    smaller = second[0]
    units = list(_GRANULARITY)
    both = (amount, smaller)
    if any(each.low != each.high or each.unit in _CLOCKED for each in both):
        return None
    if "weekend" in {amount.unit, smaller.unit} or units.index(amount.unit) <= units.index(
        smaller.unit
    ):
        return None
    base = moved(u.today, amount.unit, -amount.low)
    stretch = shifted(u, smaller, -1, base)
    day_of = stretch.start if smaller.unit == "day" else None
    return Reading(i, second[1] + 1, stretch, day=day_of)


def _backward(u: Utterance, i: int) -> bool:
    following = u.word(i)
    return following not in {"to", "in", "home", "from", "at", "with", "and", "on", "pain", "then"}


def _lead(u: Utterance, i: int) -> int:
    """The token in front of a number, hedges such as "about" passed over."""
    lead = i - 1
    while u.word(lead) in _HEDGES:
        lead -= 1
    return lead


def shifted(u: Utterance, amount: Amount, sign: int, base: datetime | None = None) -> Stretch:
    """The calendar units that many back (-1) or on (1) from the day of `base` (else from now)."""
    low, high = sorted((sign * amount.low, sign * amount.high))
    if amount.unit in _CLOCKED and base is None:
        return _clocked(u, amount.unit, low, high)
    here = base or u.now
    if amount.unit == "night":
        start, end = (part(here + n * DAY, PARTS["night"]) for n in (low, high))
    elif amount.unit == "weekend" and sign < 0:
        # On a weekend the present one is not over, and counts as none.
        start, end = weekend(here, low), weekend(here, high)
    elif amount.unit in _CLOCKED:
        return Stretch(moved(here, amount.unit, low), moved(here, amount.unit, high + 1),
                       _GRANULARITY[amount.unit])  # fmt: skip
    else:
        start, end = unit(amount.unit, here, low), unit(amount.unit, here, high)
    return replace(start, end=end.end)


def _clocked(u: Utterance, name: str, low: int, high: int) -> Stretch:
    """Hours and minutes pass on the world's clock; whole ones are the wall's."""
    one = timedelta(**{f"{name}s": 1})
    first, last = (
        _whole(name, (u.said_at + count * one).astimezone(u.zone)).astimezone(timezone.utc)
        for count in (low, high)
    )
    start, end = first.replace(tzinfo=None), last.replace(tzinfo=None) + one
    return Stretch(start, end, _GRANULARITY[name], zone=timezone.utc)


def _whole(name: str, wall: datetime) -> datetime:
    if name == "hour":
        return wall.replace(minute=0, second=0, microsecond=0)
    return wall.replace(second=0 if name == "minute" else wall.second, microsecond=0)


def _ago(u: Utterance, i: int, after: int, amount: Amount) -> Reading:
    """ "two weeks ago", "a week ago today", "a week ago on Friday", "a year ago yesterday"."""
    stretch = shifted(u, amount, -1)
    shift = {"today": 0, "tonight": 0, "yesterday": -1, "tomorrow": 1}.get(u.word(after))
    if shift is not None and amount.unit not in _CLOCKED and amount.low == amount.high:
        on = moved(u.today + shift * DAY, amount.unit, -amount.low)
        return u.dated(i, after + 1, on)
    at = u.tokens.skip(after, "on", "last")
    number = weekday_at(u, at)
    if number is not None and amount.unit == "week" and amount.low == amount.high:
        if u.word(after) == "on":
            return with_time(u, u.dated(i, at + 1, on_weekday(number, stretch.start).start))
        back = last_weekday(number, u.now).start - 7 * amount.low * DAY
        return with_time(u, u.dated(i, at + 1, back))
    single = amount.unit == "day" and amount.low == amount.high
    reading = Reading(i, after, stretch, day=stretch.start if single else None)
    return with_time(u, reading)


def _from(u: Utterance, i: int, after: int, amount: Amount) -> Reading | None:
    """ "two weeks from now", "a week from Friday"."""
    if u.word(after) == "hence":
        return Reading(i, after + 1, shifted(u, amount, 1))
    if u.word(after + 1) == "now":
        return Reading(i, after + 2, shifted(u, amount, 1))
    anchor = u.read(after + 1)
    if anchor is None or anchor.day is None or amount.low != amount.high:
        return None
    if amount.unit in _CLOCKED or amount.unit == "weekend":
        return None
    number = weekday_at(u, after + 1)
    base = anchor.day if number is None else next_weekday(number, u.now).start
    return u.dated(i, anchor.after, moved(base, amount.unit, amount.low))


def _beside(u: Utterance, i: int, after: int, amount: Amount) -> Reading | None:
    """ "two days before Christmas", "three weeks after 5 May 2023"."""
    anchor = u.read(after + (2 if u.word(after) == "prior" else 1))
    if anchor is None or amount.unit in _CLOCKED:
        return None
    sign = 1 if u.word(after) == "after" else -1
    whole = anchor.stretch
    base = whole.start if anchor.day is not None or sign < 0 else whole.end - DAY
    stretch = replace(shifted(u, amount, sign, base), exact=whole.exact)
    on = stretch.start if amount.unit == "day" and amount.low == amount.high else None
    return Reading(i, anchor.after, stretch, day=on)


def _in(u: Utterance, i: int, after: int, amount: Amount) -> Reading | None:
    """ "in two weeks": ahead, unless the tense makes it how long something took or was missed."""
    if amount.unit in {"second", "night"} or u.word(after) in {"of", "or", "flat"}:
        return None
    if amount.unit in {"minute", "hour"} and u.word(i) in {"a", "an"} and amount.unit == "minute":
        return None
    lead = _lead(u, i)
    if u.word(lead - 1) in {"once", "twice", "times", "time", "first", "all", "best"}:
        return None
    tense = u.tense(lead, after)
    if tense is Tense.PERFECT and u.word(lead) == "in":
        return _until_now(u, i, after, amount)
    if tense is Tense.PAST:
        return None
    if u.word(after) == "'" or u.word(after) == "'s":
        after += 1
    after = u.tokens.skip(after, "time")
    if u.word(lead) == "within":
        return Reading(i, after, ahead(u, amount), role="during")
    stretch = shifted(u, amount, 1)
    single = amount.unit == "day" and amount.low == amount.high
    return with_time(u, Reading(i, after, stretch, day=stretch.start if single else None))


def _lasting(u: Utterance, i: int, after: int, amount: Amount) -> Reading | None:
    """A duration that lasts until now: "for three years", "been two weeks", "3 years already"."""
    if amount.unit in _CLOCKED - {"hour"} or u.word(after) in {"old", "later", "earlier", "until"}:
        return None
    lead = _lead(u, i)
    word = u.word(lead)
    if u.word(after) in {"now", "already"} or tuple(u.tokens.words[after : after + 2]) == (
        "and",
        "counting",
    ):
        counting = word in {"for", "been"} or lead < 0 or word in {".", "!", "?", ",", "'s", "-"}
        return (
            _until_now(u, i, u.tokens.skip(after, "now", "already"), amount) if counting else None
        )
    if word in {"for", "been"}:
        lasting = u.tense(lead, after) is Tense.PERFECT or word == "been"
        pluperfect = word == "been" and u.word(lead - 1) in {"had", "'d", "not", "to"}
        return _until_now(u, i, after, amount) if lasting and not pluperfect else None
    passed = u.word(after) in {"have", "has"} and u.word(after + 1) in {"passed", "gone"}
    since = u.word(after) == "since" and word in {"is", "'s", "'re", "are"}
    return _until_now(u, i, after, amount) if passed or since else None


def _until_now(u: Utterance, i: int, after: int, amount: Amount) -> Reading:
    return Reading(i, after, behind(u, amount), role="for")


def behind(u: Utterance, amount: Amount) -> Stretch:
    """The last so many units, up to now. Of "a few", three are taken."""
    count = 3 if (amount.low, amount.high) == (2, 4) else amount.high
    start = moved(u.now if amount.unit in _CLOCKED else u.today, amount.unit, -count)
    return Stretch(start, _later(u, start), _GRANULARITY[amount.unit])


def ahead(u: Utterance, amount: Amount) -> Stretch:
    """The next so many units, from now on to the end of the last day."""
    count = 3 if (amount.low, amount.high) == (2, 4) else amount.high
    clocked = amount.unit in _CLOCKED
    end = moved(u.now if clocked else u.today, amount.unit, count)
    return Stretch(u.now, end if clocked else day(end).end, _GRANULARITY[amount.unit])


def _later(u: Utterance, start: datetime) -> datetime:
    return max(u.now, start + timedelta(seconds=1))


def _named_ago(u: Utterance, i: int) -> Reading | None:
    """ "two Fridays ago", "three summers ago", "two Christmases ago"."""
    found = number_at(u, i)
    if found is None or found[0] != found[1] or found[0] % 1:
        return None
    count, at = int(found[0]), found[2]
    if u.word(at + 1) != "ago" or count < 1:
        return None
    word = u.word(at)
    number = WEEKDAY_PLURALS.get(word, weekday_at(u, at) if count == 1 else None)
    if number is not None:
        on = last_weekday(number, u.now).start - 7 * (count - 1) * DAY
        return u.dated(i, at + 2, on)
    first = SEASON_PLURALS.get(word, SEASONS.get(word))
    if first is not None:
        return Reading(i, at + 2, _back(u, lambda of: season(of, first), count))
    feast = feast_at(u.tokens, at) if word != "christmases" else None
    if word == "christmases":
        return u.dated(i, at + 2, _back(u, lambda of: day(datetime(of, 12, 25)), count).start)
    return u.dated(i, at + 2, _back(u, feast[0], count).start) if feast else None


def _back(u: Utterance, of_year: Callable[[int], Stretch], count: int) -> Stretch:
    return of_year(before_now(of_year, u.now).start.year - (count - 1))
