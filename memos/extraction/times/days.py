"""Days by their distance or name: "today", "last night", "Friday", "the day before yesterday"."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from memos.extraction.times.calendar import (
    DAY,
    Stretch,
    last_weekday,
    next_weekday,
    on_weekday,
    part,
    unit,
    weekend,
)
from memos.extraction.times.dates import read_day_first, read_month
from memos.extraction.times.tense import Tense
from memos.extraction.times.timed import with_time
from memos.extraction.times.utterance import Reading, Utterance
from memos.extraction.times.words import (
    FUNCTION_WORDS,
    PARTS,
    RECURRENT,
    SHORT_WEEKDAYS,
    WEEKDAYS,
    bag,
)

NEAR = {
    "today": 0, "tonight": 0, "tonite": 0, "yesterday": -1, "tomorrow": 1, "tmrw": 1,
    "tomorow": 1, "tommorow": 1, "tommorrow": 1, "yest": -1,
}  # fmt: skip
# fmt: off
_WEEKDAY_LEADS = bag(
    "on by until till til since before after from last next this past coming for between"
)
# "Casual Friday", "a Sunday", "Black Friday": no particular day, or a name.
_NAMED = RECURRENT | bag(
    "a an some no another one of black good casual taco cyber ruby freaky throwback ash palm super"
    " fat giving meatless other only"
)
# fmt: on
_SHIFTS = {"last": -1, "this": 0, "next": 1}


def read_near(u: Utterance, i: int) -> Reading | None:
    """ "today", "tomorrow evening", "yesterday at 5pm"."""
    word = u.word(i)
    if word in {"today", "yesterday"} and u.word(i + 1) == "'s" and u.word(i - 1) == "in":
        return None  # "in today's world"
    on = u.today + NEAR[word] * DAY
    reading = u.dated(i, i + 1, on)
    if word in {"tonight", "tonite"}:
        reading = replace(reading, part="night", stretch=part(on, PARTS["night"]))
    return with_time(u, reading)


def weekday_at(u: Utterance, i: int) -> int | None:
    """The weekday named at `i`. Short forms need a capital and a preposition, "Sun" being one."""
    word = u.word(i)
    if word in WEEKDAYS:
        return WEEKDAYS[word]
    if word in SHORT_WEEKDAYS and u.tokens.capital(i) and not u.tokens.joined(i + 1):
        return SHORT_WEEKDAYS[word] if u.word(i - 1) in _WEEKDAY_LEADS else None
    if word in SHORT_WEEKDAYS and u.tokens.capital(i) and u.word(i + 1) in {".", ",", "?", "!"}:
        return SHORT_WEEKDAYS[word] if u.word(i - 1) in _WEEKDAY_LEADS else None
    return None


def read_weekday(u: Utterance, i: int) -> Reading | None:
    """ "on Friday", "Friday night", "Friday, June 9", "Tuesday of next week"."""
    number = weekday_at(u, i)
    if number is None or u.word(i - 1) in _NAMED or u.word(i - 2) in RECURRENT:
        return None
    after = u.tokens.skip(i + 1, ".") if u.word(i) in SHORT_WEEKDAYS else i + 1
    if dated := _with_date(u, i, after):
        return dated
    if qualified := _of_week(u, i, after, number):
        return with_time(u, qualified)
    if _compound(u, after) or _habit(u, i, after):
        return None
    if u.word(after) == "week":
        return u.dated(i, after + 1, next_weekday(number, u.now).start + 7 * DAY)
    return with_time(u, u.dated(i, after, weekday(u, number, i, after)))


def weekday(u: Utterance, number: int, first: int, after: int) -> datetime:
    """The latest one before today where the tense is past, else the first one after today."""
    if u.forward(first, after) is False:
        return last_weekday(number, u.now).start
    tense = u.tense(first, after)
    if tense is Tense.NONE and u.word(first - 1) in {"after", "from"}:
        return last_weekday(number, u.now).start
    return next_weekday(number, u.now).start


def _with_date(u: Utterance, i: int, after: int) -> Reading | None:
    """The date behind a weekday, which then only repeats it."""
    at = u.tokens.skip(u.tokens.skip(after, ","), "the")
    found = read_month(u, at) or (read_day_first(u, at) if u.word(at).isdecimal() else None)
    if found is None and u.word(after) == "the" and u.word(at).isdecimal():
        found = _numbered(u, at)
    if found is None or found.day is None:
        return None
    return replace(found, first=i)


def _numbered(u: Utterance, at: int) -> Reading | None:
    """ "Friday the 9th": the nearest such day on or around this month."""
    if u.word(at + 1) not in {"st", "nd", "rd", "th"} or not 1 <= int(u.word(at)) <= 31:
        return None
    forward = u.forward(at - 2, at + 2)
    for shift in range(12):
        whole = unit("month", u.now, shift if forward else -shift)
        try:
            found = whole.start.replace(day=int(u.word(at)))
        except ValueError:
            continue
        named = WEEKDAYS.get(u.word(at - 2)) == found.weekday()
        if named and ((found >= u.today) if forward else (found <= u.today)):
            return u.dated(at, at + 2, found)
    return None


def _of_week(u: Utterance, i: int, after: int, number: int) -> Reading | None:
    """ "Friday of last week", "Tuesday next week"."""
    at = u.tokens.skip(after, "of")
    if u.word(at) in _SHIFTS and u.word(at + 1) == "week":
        whole = unit("week", u.now, _SHIFTS[u.word(at)])
        return u.dated(i, at + 2, on_weekday(number, whole.start).start)
    return None


def _compound(u: Utterance, i: int) -> bool:
    """ "Sunday school", "Friday nights", "Wednesday Addams": not that day."""
    word = u.word(i)
    if word in {"nights", "mornings", "afternoons", "evenings", "school", "addams", "blues"}:
        return True
    if word == "night" and u.word(i + 1) in {"lights", "live"}:
        return True
    return word == "-" and u.tokens.joined(i)


def _habit(u: Utterance, i: int, after: int) -> bool:
    """ "the Monday after my exam" hangs on an event; "Monday to Friday" is a rota."""
    if u.word(after) == "of":  # "the first Friday of every month"
        return True
    if u.word(i - 1) == "the" and u.word(after) in {"before", "after", "that", "when", "i"}:
        return True
    if (
        u.word(after) in {"to", "through", "thru", "-", "–"}
        and weekday_at(u, after + 1) is not None
    ):
        return u.forward(i - 1, after + 2) is None
    return False


def read_the_weekend(u: Utterance, i: int) -> Reading | None:
    """ "over the weekend": the one behind or the one ahead, as the tense says."""
    if u.word(i - 1) != "the" or u.word(i + 1) in {"before", "after", "of", "when", "that"}:
        return None
    led = u.word(i - 2) in {"over", "for", "at", "on", "during", "until", "till", "by", "before"}
    if not led and u.word(i + 1) not in {"was", "went", "is", "will", "'s", "looks", "has"}:
        return None
    if u.word(i + 1)[:1].isalpha() and u.word(i + 1) not in FUNCTION_WORDS:
        return None
    forward = u.forward(i, i + 1)
    if forward is None:
        forward = u.word(i - 2) != "over"
    return Reading(i, i + 1, nearest_weekend(u, forward=forward))


def nearest_weekend(u: Utterance, *, forward: bool, whole: bool = False) -> Stretch:
    """The present one counts either way, unless a `whole` one is asked for."""
    here = weekend(u.now)
    if forward:
        return weekend(u.now, 1) if whole and here.start <= u.now else here
    return here if here.start <= u.now and not whole else weekend(u.now, -1)


def read_other(u: Utterance, i: int) -> Reading | None:
    """ "the other day": two to four such units ago."""
    name = u.word(i + 1)
    if u.word(i - 1) != "the" or name not in {"day", "night", "evening", "week", "morning"}:
        return None
    if name == "week":
        first, last = unit("week", u.now, -4), unit("week", u.now, -2)
    else:
        first, last = unit("day", u.now, -4), unit("day", u.now, -2)
    return Reading(i, i + 2, replace(first, end=last.end))
