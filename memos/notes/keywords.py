"""Keywords of a text: its rarest words and short phrases, as they are written there.

A phrase is a run of up to three words between stop words and punctuation. It weighs as its terms'
idf in the cube, so what everybody says there is no keyword of anything. Names count more. Knows no
index; it is given the idf.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

from memos.retrieval.reading.analysis import IRREGULAR, QUESTION, STOPWORDS, analyze

LIMIT = 6
_READ_CHARS = 20_000
_PHRASE_WORDS = 3
_WORD_CHARS = 64
_NAME_CHARS = 96
_SHOWN = 0.6
_NAMED = 1.5
"""A thing that was recognised as one says more than a word."""

_TOKEN = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*|[^\w\s]+")
_ENDING = re.compile(r"(?:['’](?:s|d|m|t|ll|re|ve)|n['’]t)\Z", re.IGNORECASE)
_NEGATED = re.compile(r".*n['’]t\Z", re.IGNORECASE)
# Content words that carry a conversation, not its subject; stop words of another kind.
_EMPTY_WORDS = """
    yes yeah yep nope ok okay oh wow hey hi hello thanks thank bye please sorry well really actually
    maybe perhaps sure totally definitely absolutely literally exactly quite pretty rather always
    never ever often sometimes usually soon later today tonight yesterday tomorrow now still yet
    again already lately recently currently back away around along together even much many lot lots
    bit little big small good great nice cool awesome amazing fantastic wonderful lovely super best
    better bad new old last next first second another every everyone everything everybody someone
    something somebody anyone anything anybody nothing nobody thing things stuff way ways kind sort
    time times day days week weeks month months year years morning evening afternoon night one two
    three
    go get make take give see come know think say tell find leave feel bring begin keep let put
    mean want need like love enjoy hope try look sound seem help guess believe remember talk speak
    ask use work start end stop happen become show turn call hear sit stand run wait check thinking
    feeling doing going getting making taking giving seeing coming knowing saying telling finding
    looking trying hoping loving wanting needing asking using talking having being letting keeping
    helping starting wanted needed liked loved enjoyed hoped tried looked sounded seemed helped
    asked used talked started happened called excited glad happy proud fun interesting
    gonna wanna gotta kinda ya y'all aw aww omg haha lol congrats bro dude whoa ttyl pic true right
    agree whenever wherever whatever long idea guys
"""
_EMPTY = frozenset(_EMPTY_WORDS.split())
_SKIP = STOPWORDS | _EMPTY | frozenset(word for word, base in IRREGULAR.items() if base in _EMPTY)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words as written, and their terms."""

    words: tuple[str, ...]
    terms: frozenset[str]


Idf = Callable[[str], float]
"""How rare a term is in the cube; at most about log of its memories."""


def phrases(text: str, *, skip: Set[str] = frozenset()) -> list[Phrase]:
    """The runs of content words of `text` in order, the long ones cut; each set of terms once.

    Words in `skip` (folded) end a run like stop words: whom a turn addresses is not its subject.
    """
    found: dict[frozenset[str], Phrase] = {}
    for run in _runs(text[:_READ_CHARS], skip):
        for start in range(0, len(run), _PHRASE_WORDS):
            words = tuple(run[start : start + _PHRASE_WORDS])
            terms = frozenset(analyze(" ".join(words))) - {QUESTION}
            if terms:
                found.setdefault(terms, Phrase(words, terms))
    return list(found.values())


def choose(
    found: Sequence[Phrase],
    idf: Idf,
    *,
    named: Sequence[str] = (),
    shown: Sequence[Phrase] = (),
    limit: int = LIMIT,
) -> tuple[str, ...]:
    """The phrases of greatest weight, best first, none of whose terms are all in a better one.

    `named` are recognised things' surfaces; `shown` are phrases of pictures' captions, which say
    less of what was meant. A phrase weighs the mean of its terms' idf, half as
    much again for each doubling of their number: a rare word does not pay for common ones.
    """
    names = [
        Phrase((name,), frozenset(analyze(name)) - {QUESTION})
        for name in named
        if len(name) <= _NAME_CHARS
    ]
    known = {name.terms for name in names}
    weighed = [(_NAMED * _weight(name, idf), name) for name in names if name.terms]
    weighed += [(_weight(phrase, idf), phrase) for phrase in found if phrase.terms not in known]
    known |= {phrase.terms for phrase in found}
    weighed += [(_SHOWN * _weight(p, idf), p) for p in shown if p.terms not in known]
    weighed.sort(key=lambda item: (-item[0], " ".join(item[1].words)))
    chosen: list[str] = []
    covered: set[str] = set()
    for _, phrase in weighed:
        if len(chosen) == limit:
            break
        if not phrase.terms <= covered:
            chosen.append(" ".join(phrase.words))
            covered |= phrase.terms
    return tuple(chosen)


def _weight(phrase: Phrase, idf: Idf) -> float:
    # Sorted, since the sum of floats depends on its order, and that of a set on the process.
    rare = [idf(term) for term in sorted(phrase.terms)]
    return float(sum(rare) / len(rare) * (1 + 0.5 * (len(rare).bit_length() - 1)))


def _runs(text: str, skip: Set[str]) -> Iterator[list[str]]:
    run: list[str] = []
    for match in _TOKEN.finditer(text):
        word = _ENDING.sub("", match.group())
        plain = word.lower()
        if plain in skip or _NEGATED.match(match.group()):
            plain = ""
        if 1 < len(plain) <= _WORD_CHARS and plain not in _SKIP and plain[0].isalnum():
            run.append(word)
            if word == match.group():
                continue
        if run:  # a possessive ends a run too: "Anna's" is whose class, not which
            yield run
            run = []
    if run:
        yield run
