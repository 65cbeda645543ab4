"""How a query is read: phrases in quotes, speakers named, time windows, terms, text to embed.

Speakers' names are taken out of what is embedded and matched, since in a conversation of few people
a name says who, not what, and swamps everything else. Knows the grammar, not the memories: it is
given the known speakers and the years they span. Any text is legal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType

from memos.retrieval.reading.analysis import QUESTION, analyze, fold
from memos.retrieval.reading.speakers import Mention, Speakers
from memos.retrieval.reading.times import Window, windows
from memos.types import ParsedQuery

MAX_PHRASES = 8

_QUOTED = re.compile(r'"([^"]+)"|“([^“”]+)”|«([^«»]+)»')
_QUOTES = re.compile(r'["“”«»]')
_WORDS = re.compile(r"[^\W_]+")
_TOGETHER = frozenset({"and", "or", "nor", "&", ",", "vs", "versus", ""})
_WANTED = re.compile(r"\b(?:when|who|where|how\s+(?:many|much|long)|how|why|which|what)\b", re.I)
_ASKING = re.compile(r"\b(?:ask|question)", re.I)


@dataclass(frozen=True, slots=True)
class Reading:
    """A parsed query with what only the search needs.

    `preferred`: speakers whose memories are meant: the one that the query names (a first name may
    stand for several), or of several the first, who in English is the one that does or says what
    is asked about ("What did Anna tell Bo?"), but for those named together ("Anna and Bo"). `sole`:
    no other speaker is named. `wanted`: the word that asks, "" for none. `places`: known ones that
    it names. `about_questions`: asking itself is the subject. `exact`: phrases are all that was
    asked for, so that nothing without them may be found; within a longer question, where quotes
    hold a title as often, they are preferred.
    """

    query: ParsedQuery
    windows: tuple[Window, ...]
    preferred: frozenset[str]
    sole: bool
    wanted: str
    places: frozenset[str]
    about_questions: bool
    exact: bool


def read(
    text: str,
    *,
    speakers: Speakers,
    now: datetime,
    years: Sequence[int],
    places: Mapping[str, str] = MappingProxyType({}),
) -> Reading:
    """Reads a query. `years`: those that a date without a year may mean. `places`: known ones by
    their folded words."""
    phrases = tuple(
        dict.fromkeys(
            folded
            for groups in _QUOTED.findall(text)
            if re.search(r"\w", folded := fold("".join(groups)))
        )
    )[:MAX_PHRASES]
    mentions = speakers.find(text)
    named = {mention.speakers for mention in mentions}
    bare = _QUOTES.sub(" ", text)
    for mention in reversed(mentions):
        bare = bare[: mention.start] + " " + bare[mention.end :]
    bare = " ".join(bare.split())
    if not re.search(r"\w", bare):
        bare = " ".join(text.split())
    when = windows(text, now=now, years=years)
    terms = tuple(dict.fromkeys(term for term in analyze(bare) if term != QUESTION))
    query = ParsedQuery(
        text=text,
        dense_text=bare,
        terms=terms,
        phrases=phrases,
        speakers=tuple(sorted(frozenset().union(*named))),
        since=when[0].since if len(when) == 1 else None,
        until=when[0].until if len(when) == 1 else None,
    )
    return Reading(
        query=query,
        windows=when,
        preferred=_subject(text, mentions),
        sole=len(named) == 1,
        wanted=" ".join(asks.group().lower().split()) if (asks := _WANTED.search(text)) else "",
        places=_named_places(text, places),
        about_questions=bool(_ASKING.search(text)),
        exact=bool(phrases) and not analyze(_QUOTED.sub(" ", text)),
    )


def _subject(text: str, mentions: Sequence[Mention]) -> frozenset[str]:
    """The speakers that the first mention means, unless others stand beside it on a par."""
    if not mentions:
        return frozenset()
    first = mentions[0]
    for before, after in pairwise(mentions):
        joint = text[before.end : after.start].strip().lower()
        if after.speakers != first.speakers and joint in _TOGETHER:
            return frozenset()
    return first.speakers


def _named_places(text: str, places: Mapping[str, str]) -> frozenset[str]:
    if not places:
        return frozenset()
    words = f" {' '.join(_WORDS.findall(fold(text)))} "
    return frozenset(place for name, place in places.items() if f" {name} " in words)


def has_phrases(text: str, phrases: Sequence[str]) -> bool:
    """Whether a text holds every phrase, as whole words; `phrases` are folded."""
    folded = fold(text)
    return all(
        re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", folded) is not None for phrase in phrases
    )
