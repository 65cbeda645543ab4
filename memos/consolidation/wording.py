"""Whether two texts say the same: by their words in order, after what carries no content is out.

Precision comes first: a merge that loses a difference can't be noticed later. So numbers, negation,
modality, tense and relative times have to agree, names have to be the same, and only fillers,
articles, spelling and slips of the finger may differ. Texts that say the same in other words are
left to what the graph knows about them. Rules for English; in other languages only texts that are
the same but for case, punctuation and numbers' form agree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import DamerauLevenshtein

from memos.retrieval.reading.analysis import IRREGULAR, fold
from memos.retrieval.reading.kinship import default

_TOKEN = re.compile(r"\d+(?:[.,:/-]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)*")
_PHRASES = re.compile(
    r"\b(?:by the way|just so you know|you know|as i (?:said|mentioned|told you)|like i said"
    r"|i mean|in case you forgot|for the record|to be clear|let me tell you|did i mention"
    r"|i think i (?:said|mentioned) (?:that|this)|one more thing|once again|don't forget)\b"
)
_FILLERS_TEXT = """
    a an the oh ah um uh hey hi hello well so just really actually anyway btw fyi please
    also too very again basically honestly simply definitely certainly surely indeed yes
    yeah yep ok okay alright now that
"""
_FILLERS = frozenset(_FILLERS_TEXT.split())
_NEGATIONS_TEXT = """
    not no never none nothing nobody neither nor without cannot
"""
_NEGATIONS = frozenset(_NEGATIONS_TEXT.split())
_MODALS_TEXT = """
    will would shall should may might must can could if unless maybe perhaps probably almost
    want wants wanted hope hopes hoped plan plans planned wish used going gonna tried try
    stop stopped quit wonder think thought was were had
"""
_MODALS = frozenset(_MODALS_TEXT.split())
_TIMES_TEXT = """
    today tonight yesterday tomorrow morning afternoon evening week weekend month year ago
    next last monday tuesday wednesday thursday friday saturday sunday recently lately soon
"""
_TIMES = frozenset(_TIMES_TEXT.split())
_CONTRACTIONS = {
    "'m": "am", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would", "n't": "not",
}  # fmt: skip
_CONTRACTED = re.compile(r"(?<=[a-z])(n't|'m|'re|'ve|'ll|'d)\b")
_WHOLE = {"can't": "can not", "won't": "will not", "shan't": "shall not", "gonna": "going to"}
_ALIKE = {
    "mum": "mother", "mom": "mother", "mommy": "mother", "mummy": "mother",
    "dad": "father", "daddy": "father", "bike": "bicycle", "phone": "telephone",
    "tv": "television", "photo": "picture", "photos": "pictures", "pic": "picture",
    "pics": "pictures", "kid": "child", "kids": "children", "fridge": "refrigerator",
    "favorite": "favourite", "color": "colour", "colors": "colours", "gray": "grey",
    "theater": "theatre", "center": "centre", "neighbor": "neighbour", "till": "until",
    "everyday": "daily", "apt": "apartment", "st": "street",
}  # fmt: skip
_UNITS_TEXT = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
    fifteen sixteen seventeen eighteen nineteen
"""
_TENS = dict(
    zip(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"],
        range(20, 100, 10),
        strict=True,
    )
)
_NUMBERS = {word: number for number, word in enumerate(_UNITS_TEXT.split())} | _TENS
_PAST = frozenset(
    form for form, base in IRREGULAR.items() if form != base and not form.endswith(("ren", "men"))
)
_SLIP_LENGTH = 5


@dataclass(frozen=True, slots=True)
class Wording:
    """What is compared of one text. `words` in order, without fillers; `hard` must be equal."""

    words: tuple[str, ...]
    hard: tuple[str, ...]
    asks: bool
    past: bool
    relative: bool

    @property
    def key(self) -> tuple[tuple[str, ...], bool]:
        """Equal for texts with the same words."""
        return self.words, self.asks


@lru_cache(maxsize=1 << 16)
def wording(text: str) -> Wording:
    """Of any text; one without words has none. `relative`: it names a time by the day it was said;
    `past`: it tells of something that happened."""
    plain = _PHRASES.sub(" ", fold(text))
    for short, full in _WHOLE.items():
        if short in plain:
            plain = plain.replace(short, full)
    plain = _CONTRACTED.sub(lambda found: " " + _CONTRACTIONS[found[0]], plain)
    tokens = _numbered([t for t in _TOKEN.findall(plain) if t not in _FILLERS])
    words = tuple(_ALIKE.get(token, token) for token in tokens)
    hard = tuple(w for w in words if w in _NEGATIONS or w in _MODALS or w[0].isdigit())
    return Wording(
        words=words,
        hard=hard,
        asks=text.rstrip().endswith(("?", "？")),
        past=any(w in _PAST or (w.endswith("ed") and len(w) > 4) for w in words),
        relative=any(w in _TIMES for w in words),
    )


def agree(one: Wording, other: Wording) -> bool:
    """Whether two texts have the same words in the same order, but for slips of the finger."""
    if one.key == other.key:
        return True
    if one.asks != other.asks or one.hard != other.hard or len(one.words) != len(other.words):
        return False
    unlike = [(a, b) for a, b in zip(one.words, other.words, strict=True) if a != b]
    return len(unlike) <= 1 + len(one.words) // 8 and all(_slip(a, b) for a, b in unlike)


def compatible(one: Wording, other: Wording) -> bool:
    """Whether nothing that changes a meaning differs, for texts that are known to state the same:
    numbers and negations."""
    return one.asks == other.asks and _strict(one) == _strict(other)


def _strict(of: Wording) -> tuple[str, ...]:
    return tuple(sorted(w for w in of.hard if w in _NEGATIONS or w[0].isdigit()))


def _slip(one: str, other: str) -> bool:
    """One letter off, and one of both no English word: Marta and Maria, house and mouse are not."""
    if min(len(one), len(other)) < _SLIP_LENGTH or one[0] != other[0]:
        return False
    if DamerauLevenshtein.distance(one, other) > 1:
        return False
    return sum(_known(word) for word in (one, other)) == 1


def _known(word: str) -> bool:
    from memos.retrieval.reading.analysis import analyze

    terms = analyze(word)
    return bool(terms) and default().rows(terms)[0] >= 0


def _numbered(tokens: Sequence[str]) -> list[str]:
    """Numbers in words as digits: "twenty one" and "21" are the same."""
    found: list[str] = []
    for token in tokens:
        number = _NUMBERS.get(token)
        if number is None:
            found.append(token)
        elif number < 10 and found and found[-1] in _OPEN_TENS:
            found[-1] = str(int(found[-1]) + number)
        else:
            found.append(str(number))
    return found


_OPEN_TENS = frozenset(map(str, _TENS.values()))
