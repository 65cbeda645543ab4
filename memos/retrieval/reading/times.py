"""Time windows named in a text: "in May 2023", "on 7 May", "last week", "between … and …".

Rules for English and ISO dates. Knows no memories; it is given the present moment, and the years
that a date without a year may mean. Windows are half open, in UTC: since <= t < until.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

MAX_YEARS = 30


@dataclass(frozen=True, slots=True)
class Window:
    """`since` or `until` None: open on that side."""

    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class _Span:
    """A date as written: its place in the text and the windows it may mean, oldest first."""

    start: int
    end: int
    windows: tuple[Window, ...]


# fmt: off
_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)
# fmt: on
_MONTHS = {name: i + 1 for i, name in enumerate(_NAMES)}
_MONTHS |= {name[:3]: i + 1 for i, name in enumerate(_NAMES)} | {"sept": 9}
# As words "may" and "march" are verbs and short forms are ambiguous: those need their capital.
_MONTH = (
    r"(?P<month>(?:[Jj]anuary|[Ff]ebruary|March|MARCH|[Aa]pril|May|MAY|[Jj]une|[Jj]uly|[Aa]ugust|"
    r"[Ss]eptember|[Oo]ctober|[Nn]ovember|[Dd]ecember|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)"
    r"(?![^\W_]))\.?"
)
_DAY = r"(?P<{}>[0-3]?\d)(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)(?!\d)"
_ISO = re.compile(r"(?<!\d)(?P<year>(?:19|20)\d\d)-(?P<m>\d\d)(?:-(?P<d>\d\d))?(?!\d)")
_DATE = re.compile(
    rf"(?<![^\W_])(?:{_DAY.format('before')}\s+(?:of\s+)?)?{_MONTH}"
    rf"(?:\s+{_DAY.format('after')}(?!\d))?(?:,?\s+(?:of\s+)?{_YEAR})?"
)
_SEASON = re.compile(
    rf"\b(?:(?P<rel>last|this)\s+)?(?P<season>spring|summer|autumn|fall|winter)"
    rf"(?:,?\s+(?:of\s+)?{_YEAR})?\b",
    re.I,
)
# At the start of a text the capital says nothing: a request, not the month.
_REQUEST = re.compile(r"\s*may\s+(?:i|we|he|she|it|they|you|the|my|our|one|someone)\b", re.I)
_LONE_YEAR = re.compile(
    rf"\b(?:in|during|of|since|before|after|until|till|by|from|to|and|between|year|late|early)\s+"
    rf"{_YEAR}",
    re.I,
)
_RELATIVE = re.compile(
    r"\b(?:(?P<day>today|tonight|yesterday|last\s+night)"
    r"|(?P<which>this|last|past)\s+(?P<unit>week|weekend|month|year|monday|tuesday|wednesday"
    r"|thursday|friday|saturday|sunday|" + "|".join(_NAMES) + r")"
    r"|(?P<ago>\d{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|ten)\s+"
    r"(?P<step>day|week|month|year)s?\s+ago"
    r"|(?:the\s+)?(?:last|past)\s+(?P<count>\d{1,3}|two|three|four|five|six|seven|eight|nine|ten|few"
    r"|couple\s+of)\s+(?P<span>day|week|month|year)s)\b",
    re.I,
)
_COUNTED = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: i + 1 for i, word in enumerate(_COUNTED)}
_NUMBERS |= {"a": 1, "an": 1, "few": 3, "couple of": 2}
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}


def windows(text: str, *, now: datetime, years: Sequence[int]) -> tuple[Window, ...]:
    """The windows that `text` names; their union is meant. Empty if it names none.

    `years` are those that a date without a year may stand for.
    """
    spans = _spans(text, now, [*years][-MAX_YEARS:])
    found: list[Window] = []
    skip = False
    for i, span in enumerate(spans):
        if skip:
            skip = False
            continue
        follower = spans[i + 1] if i + 1 < len(spans) else None
        if follower and _is_range(text, span, follower):
            found.extend(
                Window(a.since, b.until)
                for a, b in zip(span.windows, follower.windows, strict=False)
            )
            skip = True
        else:
            found.extend(_directed(text[: span.start], window) for window in span.windows)
    return tuple(found)


def _is_range(text: str, first: _Span, second: _Span) -> bool:
    lead = re.search(r"\b(between|from)(?:\s+the)?\s*$", text[: first.start], re.I)
    joint = text[first.end : second.start].strip().lower()
    return bool(lead) and joint in {"and", "to", "until", "till", "-", "–", "through"}


def _directed(lead: str, window: Window) -> Window:
    """The window as the word in front of it turns it."""
    word = re.search(
        r"\b(before|prior\s+to|after|since|until|till|by|from)(?:\s+(?:the|early|late|mid))*\s*$",
        lead,
        re.I,
    )
    kind = word.group(1).lower() if word else ""
    if kind in {"before", "prior to"}:
        return Window(None, window.since)
    if kind == "after":
        return Window(window.until, None)
    if kind in {"since", "from"}:
        return Window(window.since, None)
    if kind in {"until", "till", "by"}:
        return Window(None, window.until)
    return window


def _spans(text: str, now: datetime, years: Sequence[int]) -> list[_Span]:
    found: list[_Span] = []
    for span in (
        *_iso(text),
        *_relative(text, now),
        *_dates(text, years),
        *_seasons(text, now, years),
        *_lone_years(text),
    ):
        if span.windows and all(span.start >= f.end or span.end <= f.start for f in found):
            found.append(span)
    return sorted(found, key=lambda span: span.start)


def _iso(text: str) -> Iterator[_Span]:
    for match in _ISO.finditer(text):
        day = int(match["d"]) if match["d"] else None
        yield _Span(*match.span(), _calendar([int(match["year"])], int(match["m"]), day))


def _dates(text: str, years: Sequence[int]) -> Iterator[_Span]:
    request = _REQUEST.match(text)
    for match in _DATE.finditer(text, request.end() if request else 0):
        day = match["before"] or match["after"]
        month = _MONTHS[match["month"].lower()]
        meant = [int(match["year"])] if match["year"] else years
        yield _Span(*match.span(), _calendar(meant, month, int(day) if day else None))


def _seasons(text: str, now: datetime, years: Sequence[int]) -> Iterator[_Span]:
    for match in _SEASON.finditer(text):
        # "the fall", "a spring": without a year or a relation they are other things too often.
        lead = re.search(r"\b(?:in|during)\s+(?:the\s+)?$", text[: match.start()], re.I)
        if match["year"]:
            meant: Sequence[int] = [int(match["year"])]
        elif match["rel"]:
            month = _SEASONS[match["season"].lower()]
            past = match["rel"].lower() == "last" and now.month <= month + 2
            meant = [now.year - 1 if past else now.year]
        elif lead:
            meant = years
        else:
            continue
        start = _SEASONS[match["season"].lower()]
        windows = []
        for year in meant:
            since = _first(year, start)
            windows.append(Window(since, _months_on(since, 3)))
        yield _Span(*match.span(), tuple(windows))


def _lone_years(text: str) -> Iterator[_Span]:
    for match in _LONE_YEAR.finditer(text):
        since = _first(int(match["year"]), 1)
        yield _Span(match.start("year"), match.end(), (Window(since, _months_on(since, 12)),))


def _relative(text: str, now: datetime) -> Iterator[_Span]:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for match in _RELATIVE.finditer(text):
        yield _Span(*match.span(), (_relative_window(match, today),))


def _relative_window(match: re.Match[str], today: datetime) -> Window:
    day = timedelta(days=1)
    if match["day"]:
        back = 0 if match["day"].lower() in {"today", "tonight"} else 1
        return Window(today - back * day, today - back * day + day)
    if match["ago"]:
        width = _DAYS[match["step"].lower()]
        at = today - _number(match["ago"]) * width * day
        slack = 0 if width == 1 else width // 2
        return Window(at - slack * day, at + (slack + 1) * day)
    if match["count"]:
        width = _number(match["count"]) * _DAYS[match["span"].lower()]
        return Window(today - width * day, today + day)
    return _unit_window(match["unit"].lower(), match["which"].lower() == "this", today)


def _unit_window(unit: str, this: bool, today: datetime) -> Window:
    day = timedelta(days=1)
    monday = today - today.weekday() * day
    if unit in {"week", "weekend"}:
        since = monday if this else monday - 7 * day
        return Window(since + (5 * day if unit == "weekend" else 0 * day), since + 7 * day)
    if unit in _WEEKDAYS:
        back = (today.weekday() - _WEEKDAYS.index(unit)) % 7
        at = today - (back or (0 if this else 7)) * day
        return Window(at, at + day)
    if unit == "month":
        since = _first(today.year, today.month)
        since = since if this else _months_on(since, -1)
        return Window(since, _months_on(since, 1))
    if unit == "year":
        since = _first(today.year if this else today.year - 1, 1)
        return Window(since, _months_on(since, 12))
    month = _MONTHS[unit]
    since = _first(today.year if this or month < today.month else today.year - 1, month)
    return Window(since, _months_on(since, 1))


def _calendar(years: Sequence[int], month: int, day: int | None) -> tuple[Window, ...]:
    found = []
    for year in years:
        try:
            since = datetime(year, month, day or 1, tzinfo=timezone.utc)
        except ValueError:  # 30 February
            continue
        until = since + timedelta(days=1) if day else _months_on(since, 1)
        found.append(Window(since, until))
    return tuple(found)


def _first(year: int, month: int) -> datetime:
    return datetime(year, month, 1, tzinfo=timezone.utc)


def _months_on(since: datetime, months: int) -> datetime:
    index = since.year * 12 + since.month - 1 + months
    return _first(index // 12, index % 12 + 1)


def _number(text: str) -> int:
    word = " ".join(text.lower().split())
    return _NUMBERS[word] if word in _NUMBERS else int(word)
