"""A model's dates, "2023-05" and a granularity, as periods. Knows the calendar, no texts."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

from memos.extraction.times import calendar
from memos.extraction.times.calendar import Stretch
from memos.types import Granularity, Period

_DATE = re.compile(r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2})(?P<clock>[T ].+)?)?)?")
_CLOCKS = {
    Granularity.HOUR: timedelta(hours=1),
    Granularity.MINUTE: timedelta(minutes=1),
    Granularity.SECOND: timedelta(seconds=1),
}
_NEEDS = {
    Granularity.DECADE: "year",
    Granularity.YEAR: "year",
    Granularity.SEASON: "month",
    Granularity.MONTH: "month",
    Granularity.WEEK: "day",
    Granularity.DAY: "day",
}


def period_of(at: str, granularity: Granularity, zone: tzinfo) -> Period:
    """The whole period of this granularity that holds `at`: an ISO 8601 date, year and month, year,
    or date and time; a time without offset is one of `zone`. ValueError says what is wrong."""
    match = _DATE.fullmatch(at)
    if match is None:
        raise ValueError(f"{at!r} is no ISO 8601 date such as 2023, 2023-05, 2023-05-07")
    needed = _NEEDS.get(granularity, "clock")
    if match[needed] is None:
        raise ValueError(f"{at!r} has no {needed}, which the granularity {granularity.value} needs")
    try:
        moment = _moment(at, match, zone)
        return _stretch(moment, granularity).period(zone)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{at!r} is no date of the calendar: {error}") from error


def _moment(at: str, match: re.Match[str], zone: tzinfo) -> datetime:
    """Local and naive."""
    if match["clock"] is None:
        return datetime(int(match["year"]), int(match["month"] or 1), int(match["day"] or 1))
    moment = datetime.fromisoformat(at.replace("Z", "+00:00"))
    return moment if moment.tzinfo is None else moment.astimezone(zone).replace(tzinfo=None)


def _stretch(moment: datetime, granularity: Granularity) -> Stretch:
    if granularity in _CLOCKS:
        parts = {"microsecond": 0}
        if granularity is not Granularity.SECOND:
            parts["second"] = 0
        if granularity is Granularity.HOUR:
            parts["minute"] = 0
        start = moment.replace(**parts)  # type: ignore[arg-type]
        return Stretch(start, start + _CLOCKS[granularity], granularity)
    if granularity is Granularity.SEASON:
        # Seasons are whole months from December, March, June and September on.
        return calendar.season(moment.year, moment.month - moment.month % 3)
    return calendar.unit(granularity.value, moment)
