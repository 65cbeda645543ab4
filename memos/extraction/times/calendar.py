"""Stretches of local time on the calendar, and steps from one to another.

Times here are naive: what a clock on the wall shows. Which wall is decided where they are turned
into a `Period`. Weeks begin on Monday, a weekend is Saturday and Sunday, seasons are those of the
northern half and of whole months (winter: December to February). Whatever lies outside of the
years 1 to 9999 raises ValueError or OverflowError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone, tzinfo

from memos.types import Granularity, Period

DAY = timedelta(days=1)
_SIZES = tuple(Granularity)
_HOLDS = {
    Granularity.DAY: DAY,
    Granularity.WEEK: 7 * DAY,
    Granularity.MONTH: 31 * DAY,
    Granularity.SEASON: 92 * DAY,
    Granularity.YEAR: 366 * DAY,
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `start` up to, not including, `end`. `exact`: it does not depend on when it was said.

    `zone` is the one that was named with a clock time; None: that of the speaker.
    """

    start: datetime
    end: datetime
    granularity: Granularity
    exact: bool = False
    zone: tzinfo | None = None

    def period(self, zone: tzinfo) -> Period:
        """In UTC. A stretch that a change of clocks would swallow keeps its length."""
        there = self.zone or zone
        start, end = _universal(self.start, there), _universal(self.end, there)
        if end <= start:
            end = start + (self.end - self.start)
        return Period(start=start, end=end, granularity=self.granularity)

    def known(self) -> Stretch:
        return replace(self, exact=True)


def _universal(local: datetime, zone: tzinfo) -> datetime:
    aware = local.replace(tzinfo=zone)
    offset = aware.utcoffset()
    return (local - (offset or timedelta(0))).replace(tzinfo=timezone.utc, fold=0)


def midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def day(moment: datetime, count: int = 1) -> Stretch:
    start = midnight(moment)
    return Stretch(start, start + count * DAY, Granularity.DAY)


def week(moment: datetime, shift: int = 0) -> Stretch:
    start = midnight(moment) + (7 * shift - moment.weekday()) * DAY
    return Stretch(start, start + 7 * DAY, Granularity.WEEK)


def weekend(moment: datetime, shift: int = 0) -> Stretch:
    """The weekend of the week that holds `moment`, `shift` weeks on."""
    end = week(moment, shift).end
    return Stretch(end - 2 * DAY, end, Granularity.WEEK)


def months(year: int, first: int, count: int, granularity: Granularity) -> Stretch:
    """`count` months from month number `first`, which may lie outside of 1 to 12."""
    return Stretch(_month_start(year, first), _month_start(year, first + count), granularity)


def month(year: int, number: int) -> Stretch:
    return months(year, number, 1, Granularity.MONTH)


def season(year: int, first: int) -> Stretch:
    return months(year, first, 3, Granularity.SEASON)


def year(number: int) -> Stretch:
    return months(number, 1, 12, Granularity.YEAR)


def decade(number: int) -> Stretch:
    """The ten years from `number` on."""
    return months(number, 1, 120, Granularity.DECADE)


def part(moment: datetime, hours: tuple[int, int]) -> Stretch:
    start = midnight(moment)
    return Stretch(
        start + timedelta(hours=hours[0]), start + timedelta(hours=hours[1]), Granularity.DAY
    )


def unit(name: str, moment: datetime, shift: int = 0) -> Stretch:
    """The unit that holds `moment`, moved by `shift` such units."""
    if name == "day":
        return day(moment + shift * DAY)
    if name in {"week", "fortnight"}:
        return week(moment, shift * (2 if name == "fortnight" else 1))
    if name == "weekend":
        return weekend(moment, shift)
    if name == "month":
        return month(moment.year, moment.month + shift)
    if name == "quarter":
        first = (moment.month - 1) // 3 * 3 + 1
        return months(moment.year, first + 3 * shift, 3, Granularity.SEASON)
    if name == "year":
        return year(moment.year + shift)
    return decade(moment.year // 10 * 10 + 10 * shift)


def moved(moment: datetime, name: str, count: int) -> datetime:
    """`moment` `count` units on; a day that the month lacks becomes its last."""
    if name in {"day", "night", "weekend"}:
        return moment + count * (7 if name == "weekend" else 1) * DAY
    if name in {"week", "fortnight"}:
        return moment + count * (14 if name == "fortnight" else 7) * DAY
    if name in {"hour", "minute", "second"}:
        return moment + count * timedelta(**{f"{name}s": 1})
    per = {"month": 1, "quarter": 3, "year": 12, "decade": 120}[name]
    start = _month_start(moment.year, moment.month + count * per)
    last = month(start.year, start.month).end - DAY
    return moment.replace(year=start.year, month=start.month, day=min(moment.day, last.day))


def on_weekday(number: int, week_of: datetime) -> Stretch:
    """Day `number` (Monday is 0) of the week that holds `week_of`."""
    return day(week(week_of).start + number * DAY)


def last_weekday(number: int, before: datetime) -> Stretch:
    """The latest such day that is over at the midnight that begins the day of `before`."""
    return day(before - ((before.weekday() - number - 1) % 7 + 1) * DAY)


def next_weekday(number: int, after: datetime) -> Stretch:
    """The first such day after the day of `after`."""
    return day(after + ((number - after.weekday() - 1) % 7 + 1) * DAY)


def holding(start: datetime, end: datetime, exact: bool) -> Stretch:
    """The stretch, known to the smallest unit that holds one of its length."""
    fits = [size for size, length in _HOLDS.items() if length >= end - start]
    return Stretch(start, end, fits[0] if fits else Granularity.DECADE, exact)


def third(whole: Stretch, which: int) -> Stretch:
    """Early (0), mid (1) or late (2): days 1–10, 11–20, 21– of a month; else thirds."""
    if whole.granularity is Granularity.MONTH:
        cuts = [whole.start, whole.start + 10 * DAY, whole.start + 20 * DAY, whole.end]
    elif whole.granularity in {Granularity.YEAR, Granularity.SEASON}:
        step = 4 if whole.granularity is Granularity.YEAR else 1
        cuts = [moved(whole.start, "month", n * step) for n in range(4)]
    elif whole.granularity is Granularity.DECADE:
        cuts = [moved(whole.start, "year", n) for n in (0, 4, 7, 10)]
    else:
        cuts = [whole.start, whole.start + 2 * DAY, whole.start + 4 * DAY, whole.end]
    return holding(cuts[which], cuts[which + 1], whole.exact)


def edge(whole: Stretch, *, first: bool) -> Stretch:
    """Beginning or end: a month of a year or season, 7 days of a month; else its third."""
    if whole.granularity in {Granularity.DECADE, Granularity.WEEK}:
        return third(whole, 0 if first else 2)
    if whole.granularity in {Granularity.YEAR, Granularity.SEASON}:
        cut = moved(whole.start, "month", 1) if first else moved(whole.end, "month", -1)
    else:
        cut = whole.start + 7 * DAY if first else whole.end - 7 * DAY
    return holding(*((whole.start, cut) if first else (cut, whole.end)), whole.exact)


def coarser(first: Granularity, second: Granularity) -> Granularity:
    return max(first, second, key=_SIZES.index)


def latest(of_year: Callable[[int], Stretch], now: datetime) -> Stretch:
    """Of the yearly stretches, the latest that has begun."""
    return _first(of_year, range(now.year + 1, now.year - 9, -1), lambda s: s.start <= now)


def soonest(of_year: Callable[[int], Stretch], now: datetime) -> Stretch:
    """Of the yearly stretches, the first that is not over."""
    return _first(of_year, range(now.year - 1, now.year + 9), lambda s: s.end > now)


def _first(
    of_year: Callable[[int], Stretch], years: range, wanted: Callable[[Stretch], bool]
) -> Stretch:
    """Years that lack the day are passed over: 29 February comes within eight."""
    for number in years:
        try:
            found = of_year(number)
        except (ValueError, OverflowError):
            continue
        if wanted(found):
            return found
    raise ValueError("no such day on the calendar")


def _month_start(number: int, first: int) -> datetime:
    years, index = divmod(number * 12 + first - 1, 12)
    return datetime(years, index + 1, 1)
