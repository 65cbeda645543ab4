"""Dates by name: "May", "5 May 2023", "May 5th", "summer 2022", "Christmas", "the 15th"."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from memos.extraction.times.calendar import (
    Stretch,
    day,
    latest,
    month,
    moved,
    season,
    soonest,
    unit,
)
from memos.extraction.times.holidays import feast_at
from memos.extraction.times.numeric import read_short_year, read_year
from memos.extraction.times.tense import Tense
from memos.extraction.times.timed import with_time
from memos.extraction.times.utterance import Reading, Utterance, known
from memos.extraction.times.words import (
    DOUBTFUL_MONTHS,
    FUNCTION_WORDS,
    MONTHS,
    RECURRENT,
    SEASONS,
    SHORT_MONTHS,
    SPELLED_DAYS,
    WEEKDAYS,
    bag,
)
from memos.types import Granularity

OfYear = Callable[[int], Stretch]
# fmt: off
MONTH_LEADS = bag(
    "in since until till til by during before after around early mid late last next this past of"
    " throughout through coming"
)
_FEAST_LEADS = bag(
    "on at for since until till til by before after over during around last next this past coming"
    " near through"
)
_MODAL = bag(
    "be not have has i we you he she it they the never also well need seem the a god"
)
_SEASON_LEADS = bag("in since until till by during before after over")
_TO = bag("to until till through - –")
_OF_MONTH = frozenset(WEEKDAYS) | bag(
    "end start beginning middle part half week weekend day morning evening night afternoon"
)
# fmt: on
_SHIFTS = {"last": -1, "this": 0, "next": 1}


def month_at(u: Utterance, i: int) -> int | None:
    """The month named at `i`: its number. "may" and "march" may be verbs, "jun." needs no care."""
    word = u.word(i)
    if word in MONTHS:
        if word in {"may", "march"} and not u.tokens.capital(i) and not _month_like(u, i):
            return None
        return MONTHS[word]
    if word in SHORT_MONTHS and u.tokens.capital(i):
        return SHORT_MONTHS[word]
    return None


def _month_like(u: Utterance, i: int) -> bool:
    """Lower-case "may": after "in", or beside a number that can only be a date's."""
    if u.word(i - 1) in {"in", "since", "until", "of", "early", "mid", "late", "last"}:
        return u.word(i + 1) not in {"be", "not", "have"}
    following = u.word(i + 1)
    if len(following) == 4 and following.isdecimal():
        return True
    return _ordinal(u, i + 1) is not None and u.word(i + 2) in {"st", "nd", "rd", "th"}


def _ordinal(u: Utterance, i: int) -> tuple[int, int] | None:
    """A day's number at `i`, with or without its ending, and the index behind it."""
    text = u.word(i)
    if not text.isdecimal() or not text.isascii() or len(text) > 2 or not 1 <= int(text) <= 31:
        return None
    if u.tokens.joined(i + 1) and u.word(i + 1) in {"st", "nd", "rd", "th"}:
        return int(text), i + 2
    clean = not u.tokens.joined(i + 1) or not (
        u.word(i + 1)[0].isalnum() or u.word(i + 1) in ":%$°"
    )
    decimal = u.tokens.joined(i + 1) and u.tokens.joined(i + 2) and u.word(i + 2).isdecimal()
    ranged = u.word(i + 1) in {"-", "–"}
    return (int(text), i + 1) if clean and (ranged or not decimal) else None


def _of_day(number: int, on: int) -> OfYear:
    return lambda of: day(datetime(of, number, on))


def _of_month(number: int) -> OfYear:
    return lambda of: month(of, number)


def year_behind(u: Utterance, i: int) -> tuple[int, int, bool] | None:
    """The year named at `i` ("2021", ", 2021", "of '21", "last year"), the index behind it, and
    whether it is known without the moment of speaking."""
    i = u.tokens.skip(i, ",", "of", "in")
    if found := read_year(u, i, ranged=True) or read_short_year(u, i):
        return found.stretch.start.year, found.after, True
    if u.word(i) in _SHIFTS and u.word(i + 1) == "year":
        return u.now.year + _SHIFTS[u.word(i)], i + 2, False
    return None


def in_year(u: Utterance, first: int, after: int, of_year: OfYear) -> Reading | None:
    """The yearly thing at these tokens in the year named behind it; None if none is."""
    found = year_behind(u, after)
    if found is None:
        return None
    number, after, exact = found
    stretch = of_year(number)
    on = stretch.start if stretch.granularity is Granularity.DAY else None
    reading = Reading(first, after, stretch, day=on)
    return known(reading) if exact else reading


def read_day_first(u: Utterance, i: int) -> Reading | None:
    """ "5 May", "5th of May, 2023", "the 15th"."""
    found = _ordinal(u, i)
    if found is None or not u.tokens.free(i) or (u.tokens.joined(i) and u.word(i - 1) in "/:-*@,~"):
        return None
    on, at = found
    of = u.tokens.skip(at, "of")
    number = month_at(u, of)
    if number is None:
        return _day_of_month(u, i, on, at) if at == i + 2 else None
    # "4 March" but not "the 4 May leave": what follows "may" must not be its verb.
    if u.word(of) == "may" and u.word(of + 1) in _MODAL and of == at:
        return None
    after = u.tokens.skip(of + 1, ".") if u.word(of) in SHORT_MONTHS else of + 1
    return _day(u, i, after, _of_day(number, on))


def read_spelled_day(u: Utterance, i: int) -> Reading | None:
    """ "the first of June"."""
    number = month_at(u, i + 2) if u.word(i + 1) == "of" else None
    return None if number is None else _day(u, i, i + 3, _of_day(number, SPELLED_DAYS[u.word(i)]))


def _day(u: Utterance, first: int, after: int, of_year: OfYear) -> Reading:
    found = in_year(u, first, after, of_year) or u.yearless(first, after, of_year)
    return with_time(u, found)


def _day_of_month(u: Utterance, i: int, on: int, after: int) -> Reading | None:
    """ "on the 15th": of this month or its neighbour, as the tense says."""
    lead = u.word(i - 2) if u.word(i - 1) == "the" else ""
    if lead not in {"on", "by", "until", "till", "since", "before", "after", "for"}:
        return None
    if u.word(after) == "of" and u.word(after + 1) in _SHIFTS and u.word(after + 2) == "month":
        whole = unit("month", u.now, _SHIFTS[u.word(after + 1)])
        return with_time(u, u.dated(i, after + 3, whole.start.replace(day=on)))
    if u.word(after) == "of" and u.word(after + 1) == "the" and u.word(after + 2) == "month":
        after += 3
    elif u.word(after)[:1].isalnum() and u.word(after) not in FUNCTION_WORDS - {"of"}:
        return None
    forward = u.forward(i - 1, after)
    if forward is None:
        forward = u.tense(i - 1, after) is Tense.PRESENT
    for shift in (0, 1, 2) if forward else (0, -1, -2):
        try:
            found = moved(u.today.replace(day=1), "month", shift).replace(day=on)
        except ValueError:
            continue
        if (found >= u.today) if forward else (found <= u.today):
            return with_time(u, u.dated(i, after, found))
    return None


def read_month(u: Utterance, i: int) -> Reading | None:
    """A month, or the day of it that follows: "May", "May 2021", "May 5", "May 5th, 2023"."""
    number = month_at(u, i)
    if (
        number is None
        or u.word(i - 1) in RECURRENT
        or (u.tokens.joined(i + 1) and u.word(i + 1) == "'")
    ):
        return None
    after = u.tokens.skip(i + 1, ".") if u.word(i) in SHORT_MONTHS else i + 1
    at = u.tokens.skip(after, "the")
    found = _ordinal(u, at)
    if found and (at == after or found[1] == at + 2) and not _is_verb(u, i):
        return _day(u, i, found[1], _of_day(number, found[0]))
    if dated := in_year(u, i, after, _of_month(number)):
        return dated
    return u.yearless(i, after, _of_month(number)) if _alone(u, i) else None


def _is_verb(u: Utterance, i: int) -> bool:
    """ "March 5 miles": a sentence's first word before a count."""
    return u.word(i) == "march" and u.word(i + 2) in {"miles", "km", "steps", "times"}


def _alone(u: Utterance, i: int) -> bool:
    """Whether a month without day and year is one: "in May", but not "May I" or "Mar"."""
    lead = u.word(i - 1)
    if lead == "-" and u.word(i - 2) == "mid":
        lead = "mid"
    if lead == "of" and u.word(i - 2) not in _OF_MONTH:
        return False
    if lead == "by" and _passive(u, i - 2):
        return False
    if u.word(i + 1) in RECURRENT or u.word(i - 3) in RECURRENT:  # "every year in June"
        return False
    if u.word(i + 1) in _TO and month_at(u, i + 2):
        return True
    if lead in MONTH_LEADS:
        return not (lead == "this" and u.word(i) in DOUBTFUL_MONTHS and u.word(i + 1) in _MODAL)
    if lead in {"from", "between", "and", "to", "-", "–"}:
        return _between(u, i)
    return u.word(i) in MONTHS and u.word(i) not in DOUBTFUL_MONTHS


def _passive(u: Utterance, i: int) -> bool:
    """ "inspired by autumn"."""
    return u.word(i).endswith("ed")


def _between(u: Utterance, i: int) -> bool:
    """Whether a month stands in "from … to …" or "between … and …" with another."""
    if u.word(i - 1) in {"from", "between"}:
        behind = (at for at in range(i + 1, i + 4) if u.word(at) in _TO | {"and"})
        return any(month_at(u, at + 1) for at in behind)
    if u.word(i - 1) in _TO and month_at(u, i - 2):
        return True
    return any(
        month_at(u, at) and u.word(at - 1) in {"from", "between"} for at in range(i - 4, i - 1)
    )


def read_season(u: Utterance, i: int) -> Reading | None:
    """ "in the summer", "summer 2022", "winter of '99"; bare it is too often something else."""
    first = SEASONS.get(u.word(i))
    if first is None:
        return None

    def of_year(of: int) -> Stretch:
        return season(of, first)

    if found := in_year(u, i, i + 1, of_year):
        return found
    lead = i - 1
    article = u.word(lead) == "the"
    lead -= article
    if u.word(lead) not in _SEASON_LEADS or (u.word(lead) == "by" and _passive(u, lead - 1)):
        return None
    if (u.word(i) == "fall" and not article) or compound(u, i + 1) or u.word(i + 1) == "of":
        return None
    if not article and u.word(lead) in {"in", "during"} and u.forward(i, i + 1) is None:
        return None
    return u.yearless(i, i + 1, of_year)


def read_feast(u: Utterance, i: int) -> Reading | None:
    """A holiday that stands for its day: "at Christmas", not "a Christmas tree"."""
    found = feast_at(u.tokens, i)
    if found is None:
        return None
    of_year, after = found
    if dated := in_year(u, i, after, of_year):
        return with_time(u, dated)
    if u.word(i - 1) not in _FEAST_LEADS or compound(u, after):
        return None
    role = "at" if u.word(i - 1) == "for" else ""
    reading = with_time(u, u.yearless(i, after, of_year, gift=True))
    return Reading(i, reading.after, reading.stretch, reading.day, reading.part, role, of_year)


def compound(u: Utterance, i: int) -> bool:
    """Whether the word at `i` makes a compound with the one before it."""
    word = u.word(i)
    if word in {"morning", "afternoon", "evening", "night"}:
        return False
    if word == "'s" or (word in {"-", "'"} and u.tokens.joined(i)):
        return True
    return word[:1].isalpha() and word not in FUNCTION_WORDS


def yearly_at(u: Utterance, i: int) -> tuple[OfYear, int] | None:
    """What comes every year and is named at `i`, for "last", "this" and "next" in front of it."""
    if (number := month_at(u, i)) is not None:
        found = _ordinal(u, i + 1)
        return (_of_day(number, found[0]), found[1]) if found else (_of_month(number), i + 1)
    if (first := SEASONS.get(u.word(i))) is not None:
        return (lambda of: season(of, first)), i + 1
    return feast_at(u.tokens, i)


def before_now(of_year: OfYear, now: datetime) -> Stretch:
    """The latest that is over."""
    found = latest(of_year, now)
    return found if found.end <= now else of_year_before(of_year, found)


def of_year_before(of_year: OfYear, stretch: Stretch) -> Stretch:
    return latest(of_year, moved(stretch.start, "day", -1))


def after_now(of_year: OfYear, now: datetime) -> Stretch:
    """The first that has not begun."""
    found = soonest(of_year, now)
    return found if found.start > now else soonest(of_year, found.end)
