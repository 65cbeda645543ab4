"""From text to terms: what is embedded and analysed of a memory, and how words become terms.

Knows no index and no query grammar. The same analyser serves documents and queries; its name is
stored beside the terms, so that a change of it is found and reindexed.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from typing import cast

import Stemmer

from memos.retrieval.reading.telling import marked, telling
from memos.types import Memory, NewMemory

ANALYZER = "english-snowball-3"

QUESTION = "?"
"""Last term of a text that ends in a question mark. It is a mark, not a word: the lexical index
neither counts nor scores it, but keeps it, since who asks a thing does not assert it."""

_STOPWORDS = """
    a an the this that these those such
    i me my mine myself we us our ours ourselves you your yours yourself yourselves
    he him his himself she her hers herself it its itself they them their theirs themselves
    who whom whose which what when where why how
    am is are was were be been being do does did doing done have has had having
    can could will would shall should might must cannot
    and or but nor so if than then because as while until though although
    of at by for with about against between into through during before after above below
    to from up down in out on off over under again further upon within without
    not no only own same too very just also more most other some any each few both all
    there here once now
"""
STOPWORDS = frozenset(_STOPWORDS.split())

# Irregular English forms and their base, which a suffix stemmer can't bring together.
_IRREGULAR_GROUPS = """
    go goes went gone|buy bought|get got gotten|make made|take took taken|give gave given
    see saw seen|come came|know knew known|think thought|say said|tell told|find found|leave left
    feel felt|bring brought|begin began begun|keep kept|hold held|write wrote written|stand stood
    hear heard|mean meant|meet met|run ran|pay paid|sit sat|speak spoke spoken|lead led
    grow grew grown|lose lost|fall fell fallen|send sent|build built|understand understood
    draw drew drawn|break broke broken|spend spent|rise rose risen|drive drove driven
    wear wore worn|choose chose chosen|teach taught|catch caught|eat ate eaten|fly flew flown
    win won|sell sold|fight fought|throw threw thrown|sing sang sung|swim swam swum|ride rode ridden
    sleep slept|forget forgot forgotten|become became|drink drank drunk|wake woke woken
    hide hid hidden|steal stole stolen|ring rang rung|shoot shot|seek sought|learn learnt
    dream dreamt|burn burnt|bite bit bitten|blow blew blown|feed fed|freeze froze frozen
    lend lent|lay laid|shake shook shaken|shine shone|sink sank sunk|swear swore sworn
    tear tore torn|bind bound|bend bent|dig dug|hang hung|strike struck|stick stuck|sweep swept
    child children|man men|woman women|person people|foot feet|tooth teeth|mouse mice|goose geese
    wife wives|life lives|knife knives|leaf leaves|shelf shelves|half halves
    mother mom mum mommy mummy|father dad daddy
"""
_WORD = re.compile(r"[^\W_]+")
# Possessive and contracted endings carry no content: Anna's, I'd, didn't, can't.
_ENDING = re.compile(r"\b(?:can|won|shan)'t\b|n't\b|'(?:s|d|m|t|ll|re|ve)\b")
# Scripts written without spaces: a run becomes overlapping pairs of characters.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
_stemmers = threading.local()


def _irregular() -> dict[str, str]:
    groups = [group.split() for group in re.split(r"[|\n]", _IRREGULAR_GROUPS)]
    return {form: group[0] for group in groups for form in group[1:]}


IRREGULAR = _irregular()


def analyze(text: str) -> list[str]:
    """Terms of `text`, in order: words and numbers folded, stop words out, stemmed.

    Unicode NFKC and casefold; possessive and contracted endings are dropped; irregular forms go to
    their base; the rest is stemmed by Snowball English (M. Porter, https://snowballstem.org). A
    text that ends in a question mark gets the mark `QUESTION` as last term. Any text is legal; one
    of stop words and symbols alone has no terms.
    """
    words = _WORD.findall(_folded(text))
    terms = _stem([IRREGULAR.get(word, word) for word in words if word not in STOPWORDS])
    if text.rstrip().endswith(("?", "？")):
        terms.append(QUESTION)
    return terms


def indexed(memory: Memory | NewMemory) -> str:
    """The terms of a memory's text in one string, and behind them what its words tell.

    The times it speaks of count from `occurred_at` or, of a memory without it, from its arrival.
    """
    said_at = memory.occurred_at
    if said_at is None and isinstance(memory, Memory):
        said_at = memory.created_at
    return marked(" ".join(analyze(text_of(memory))), telling(memory.content, said_at))


def text_of(memory: Memory | NewMemory) -> str:
    """What is embedded and analysed: the content, then the captions of its images."""
    captions = [image.caption for image in memory.images if image.caption]
    return " ".join([memory.content, *captions]) if captions else memory.content


def fold(text: str) -> str:
    """`text` as phrases are compared: NFKC, casefold, one apostrophe, white space as one blank."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return " ".join(text.split())


def _folded(text: str) -> str:
    if text.isascii():
        return _ENDING.sub(" ", text.lower()) if "'" in text else text.lower()
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return _UNSPACED.sub(_pairs, _ENDING.sub(" ", text))


def _pairs(run: re.Match[str]) -> str:
    chars = run.group()
    if len(chars) == 1:
        return f" {chars} "
    return " " + " ".join(chars[i : i + 2] for i in range(len(chars) - 1)) + " "


def _stem(words: list[str]) -> list[str]:
    # A Stemmer object keeps a buffer of its own and may not be shared by threads.
    stemmer = getattr(_stemmers, "english", None)
    if stemmer is None:
        stemmer = _stemmers.english = Stemmer.Stemmer("english")
    return cast("list[str]", stemmer.stemWords(words))
