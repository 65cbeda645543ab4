"""Dates in digits: ISO dates and datetimes, "5/7/2023", years, decades, quarters.

5/7/2023 is the 7th of May, month first, unless the first number cannot be a month; with dots, as
in 5.7.2023, the day comes first.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from memos.extraction.times.calendar import Stretch, day, decade, month, months, year
from memos.extraction.times.timed import with_time
from memos.extraction.times.utterance import Reading, Utterance, known
from memos.extraction.times.words import COUNTED, DECADES, bag
from memos.types import Granularity

_ISO = re.compile(
    r"(?P<y>[12]\d{3})-(?P<mo>\d\d)(?:-(?P<d>\d\d)"
    r"(?:(?:T|\s)(?P<h>\d\d):(?P<mi>\d\d)(?::(?P<s>\d\d)(?:[.,]\d{1,9})?)?"
    r"(?:\s?(?P<z>Z|UTC)|(?P<sign>[+-])(?P<zh>\d\d):?(?P<zm>\d\d))?)?)?(?![\w-])",
    re.I,
)
_SLASHED = re.compile(
    r"(?P<a>\d{1,2})(?P<sep>[/.-])(?P<b>\d{1,2})(?P=sep)(?P<y>\d{4}|\d\d)(?![\d/.-]\d|\w)"
)
_NO_YEAR = re.compile(r"(?P<a>\d{1,2})/(?P<b>\d{1,2})(?![\w/])")
_YEAR_FIRST = re.compile(
    r"(?P<y>[12]\d{3})(?P<sep>[/.])(?P<mo>\d{1,2})(?P=sep)(?P<d>\d{1,2})(?!\w)"
)
# fmt: off
_YEAR_LEADS = bag(
    "in since until till til before after by during from of around circa early mid late year for"
    " through throughout summer winter spring autumn fall following"
)
# fmt: on
FIRST_YEAR, LAST_YEAR = 1800, 2199


def read_numeric(u: Utterance, i: int) -> Reading | None:
    """A date that is all digits and marks."""
    tokens = u.tokens
    if not tokens.free(i) or not tokens.raw[i].isascii():
        return None
    start = tokens.starts[i]
    if match := _ISO.match(tokens.text, start):
        return _iso(u, i, match)
    if match := _YEAR_FIRST.match(tokens.text, start):
        found = day(datetime(int(match["y"]), int(match["mo"]), int(match["d"])))
    elif match := _SLASHED.match(tokens.text, start):
        found = _slashed(u, match)
    elif (match := _NO_YEAR.match(tokens.text, start)) and u.word(i - 1) in {"on", "by", "until"}:
        return _no_year(u, i, match)
    else:
        return None
    after = tokens.at(match.end(), i)
    return with_time(u, known(Reading(i, after, found, day=found.start)))


def _no_year(u: Utterance, i: int, match: re.Match[str]) -> Reading | None:
    first, second = int(match["a"]), int(match["b"])
    number, on = (second, first) if first > 12 else (first, second)
    after = u.tokens.at(match.end(), i)
    return with_time(u, u.yearless(i, after, lambda of: day(datetime(of, number, on))))


def _iso(u: Utterance, i: int, match: re.Match[str]) -> Reading | None:
    after = u.tokens.at(match.end(), i)
    number, of_year = int(match["mo"]), int(match["y"])
    if match["d"] is None:
        # "2018-20" is a range of years, or anything else.
        fits = FIRST_YEAR <= of_year <= LAST_YEAR and 1 <= number <= 12
        return known(Reading(i, after, month(of_year, number))) if fits else None
    on = datetime(of_year, number, int(match["d"]))
    if match["h"] is None:
        return with_time(u, known(Reading(i, after, day(on), day=on)))
    second = int(match["s"] or 0)
    start = on.replace(hour=int(match["h"]), minute=int(match["mi"]), second=min(second, 59))
    exactly = match["s"] is not None
    size = Granularity.SECOND if exactly else Granularity.MINUTE
    end = start + timedelta(seconds=1 if exactly else 60)
    return Reading(i, after, Stretch(start, end, size, True, _offset(match)))


def _offset(match: re.Match[str]) -> timezone | None:
    if match["z"]:
        return timezone.utc
    if match["sign"] is None:
        return None
    offset = timedelta(hours=int(match["zh"]), minutes=int(match["zm"]))
    return timezone(offset if match["sign"] == "+" else -offset)


def _slashed(u: Utterance, match: re.Match[str]) -> Stretch:
    first, second, of_year = int(match["a"]), int(match["b"]), int(match["y"])
    if len(match["y"]) == 2:
        of_year += 2000 if of_year <= u.now.year % 100 + 10 else 1900
    day_first = match["sep"] == "." or first > 12
    number, on = (second, first) if day_first else (first, second)
    return day(datetime(of_year, number, on))


def read_year(u: Utterance, i: int, *, ranged: bool = False) -> Reading | None:
    """A year of four digits where the words around say that it is one."""
    tokens, text = u.tokens, u.word(i)
    if len(text) != 4 or not text.isascii() or not text.isdecimal() or not tokens.free(i):
        return None
    if not FIRST_YEAR <= int(text) <= LAST_YEAR or (tokens.joined(i) and u.word(i - 1) in "/:@,"):
        return None
    if _counts(u, i) or not (ranged or _year_context(u, i)):
        return None
    return known(Reading(i, i + 1, year(int(text))))


def _counts(u: Utterance, i: int) -> bool:
    following = u.word(i + 1)
    if following in COUNTED or following in {"%", "$", "€", "£", "°"}:
        return True
    glued = u.tokens.joined(i + 1)
    if glued and following in {",", "."}:
        return u.tokens.joined(i + 2) and u.word(i + 2).isdecimal()
    return glued and following[:1].isalnum()


def _year_context(u: Utterance, i: int) -> bool:
    lead, following = u.word(i - 1), u.word(i + 1)
    if lead == "-" and u.word(i - 2) == "mid":
        return True
    if lead in _YEAR_LEADS or (lead == "to" and u.word(i - 2) in {"prior", "up"}):
        return True
    if lead == "(" and following in {")", "-", "–"}:
        return True
    if following in {"-", "–", "to"} and read_year(u, i + 2, ranged=True) is not None:
        return True
    opens = not lead or lead in ".!?;\n"
    return opens and following in {"was", "is", "has", "will", "had", "seems", "feels"}


def read_short_year(u: Utterance, i: int) -> Reading | None:
    """ "back in '95", "summer of '69"."""
    text = u.word(i + 1)
    if u.word(i) not in {"'", "’"} or len(text) != 2 or not text.isdecimal():
        return None
    if u.word(i - 1) not in {"in", "since", "of", "until", "before", "after", "by"}:
        return None
    if u.tokens.joined(i + 2) and u.word(i + 2)[:1].isalnum():
        return None
    number = int(text) + (2000 if int(text) <= u.now.year % 100 + 10 else 1900)
    return known(Reading(i, i + 2, year(number)))


def read_decade(u: Utterance, i: int) -> Reading | None:
    """ "the 90s", "the 1990s", "the '80s", "the early 2000s", "the nineties"."""
    lead = i - 1
    if u.word(lead) in {"'", "’"}:
        lead -= 1
    if u.word(lead) == "-":
        lead -= 1
    if u.word(lead) not in {"the", "early", "mid", "late", "of"}:
        return None
    word = u.word(i)
    if word in DECADES:
        return known(Reading(i, i + 1, decade(1900 + DECADES[word])))
    after = i + 1
    after = u.tokens.skip(after, "'", "’")
    if u.word(after) not in {"s", "'s"} or not u.tokens.joined(after) or not word.endswith("0"):
        return None
    if u.word(after + 1) in {"degrees", "°", "percent"}:
        return None
    if len(word) == 4 and FIRST_YEAR <= int(word) <= LAST_YEAR:
        return known(Reading(i, after + 1, decade(int(word))))
    if len(word) == 2:
        return known(Reading(i, after + 1, decade(int(word) + (1900 if int(word) > 19 else 2000))))
    return None


def read_quarter(u: Utterance, i: int) -> Reading | None:
    """ "Q3", "Q1 2023"."""
    number = u.word(i + 1)
    if u.tokens.word(i) != "q" or not u.tokens.joined(i + 1) or number not in {"1", "2", "3", "4"}:
        return None
    first = 3 * int(number) - 2

    def of_year(of: int) -> Stretch:
        return months(of, first, 3, Granularity.SEASON)

    at = u.tokens.skip(i + 2, "of", ",")
    if found := read_year(u, at, ranged=True):
        return known(Reading(i, found.after, of_year(found.stretch.start.year)))
    return u.yearless(i, i + 2, of_year)
