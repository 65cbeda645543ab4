"""Facts said in plain English, for memories made from facts and for explanations.

Knows names and times; nothing of stores.
"""

from __future__ import annotations

from datetime import datetime

from memos.graph.vocabulary import FAVOURITE
from memos.types import Fact, Granularity, NewFact

_NOUN_WORDS = """
    age birthday full_name job_title native_language phone_number email_address height weight price
    home_town nationality relationship_status
"""
_NOUNS = frozenset(_NOUN_WORDS.split())
_AFTER_IS_WORDS = """
    born_in scheduled_for located_at interested_in allergic_to afraid_of good_at occupied_as
    partner_of member_of part_of named described_as accepted_by engaged_to hired_by
"""
_AFTER_IS = frozenset(_AFTER_IS_WORDS.split())
_VERB_WORDS = "left lost found broke met read won made gave sold bought did died"
_VERBS = frozenset(_VERB_WORDS.split())
_FORMS = {
    Granularity.YEAR: "%Y",
    Granularity.DECADE: "the %Ys",
    Granularity.SEASON: "%B %Y",
    Granularity.MONTH: "%B %Y",
    Granularity.WEEK: "the week of %Y-%m-%d",
    Granularity.DAY: "%Y-%m-%d",
}


def sentence(fact: NewFact, *, event: bool = False) -> str:
    """ "Ana lives in Porto since 2020." """
    text = clause(fact.subject, fact.predicate, shown(fact.object, fact.unit), fact.negated)
    times = span(fact.valid_at, fact.granularity, fact.invalid_at, fact.granularity, event=event)
    return " ".join(part for part in (text, times) if part) + "."


def told(fact: Fact) -> str:
    """The same of a fact that is believed, without its times."""
    thing = fact.object.name if fact.object is not None else fact.value
    return clause(fact.subject.name, fact.predicate, thing, fact.negated)


def clause(subject: str, predicate: str, thing: str | None, negated: bool) -> str:
    """Subject, predicate and object as words; `thing` None is anything."""
    words = predicate.replace("_", " ")
    if predicate in _NOUNS or predicate.startswith(FAVOURITE) or _is_noun(words):
        text = f"{subject}'s {words} is"
    elif predicate in _AFTER_IS:
        text = f"{subject} is {words}"
    else:
        text = f"{subject} {words}"
    if thing is not None:
        text = f"{text} {thing}"
    elif negated:
        text = f"{text} anything"
    return f"It is not so that {text}" if negated else text


def _is_noun(words: str) -> bool:
    """A word that nothing marks as a verb: `tariff`, not `likes` or `moored_at`."""
    if " " in words or words in _VERBS or words.endswith(("ed", "ing")):
        return False
    return not words.endswith("s") or words.endswith(("ss", "us", "is"))


def shown(thing: str | float | int | bool | None, unit: str | None = None) -> str | None:
    """An object as text: numbers without needless zeros, with their unit."""
    if thing is None:
        return None
    if isinstance(thing, bool):
        return "true" if thing else "false"
    if isinstance(thing, float) and thing.is_integer() and abs(thing) < 1e15:
        thing = int(thing)
    text = str(thing)
    return f"{text} {unit}" if unit else text


def span(
    since: datetime | None,
    since_grain: Granularity | None,
    until: datetime | None,
    until_grain: Granularity | None,
    *,
    event: bool = False,
) -> str:
    """ "since 2020", "from 2020 until 2023-05-01", "until 2023"; of an event "in 2020"."""
    first = None if since is None else moment(since, since_grain)
    last = None if until is None else moment(until, until_grain)
    if event and since is not None:
        coarse = since_grain in (Granularity.YEAR, Granularity.MONTH, Granularity.SEASON)
        word = "in" if coarse or since_grain in (Granularity.DECADE, Granularity.WEEK) else "on"
        return f"{word} {first}"
    if first and last:
        return f"from {first} until {last}"
    if first:
        return f"since {first}"
    return f"until {last}" if last else ""


def moment(time: datetime, grain: Granularity | None) -> str:
    """A time as exactly as it is known."""
    if grain in _FORMS:
        # strftime does not fill up years before 1000.
        return time.strftime(_FORMS[grain]).replace(time.strftime("%Y"), f"{time.year:04}", 1)
    clock = time.strftime("%H:%M:%S")
    day = f"{time.year:04}-{time.month:02}-{time.day:02}"
    return day if clock == "00:00:00" else f"{day} {clock[:5]}"
