"""How much of a text is noise, and which signs say so.

Each sign is a probability by itself; together they are joined as independent ones (noisy or), so
that a score is in [0, 1) and every part of it has a name. Knows texts only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from memos.retrieval.reading.telling import telling

_WORD = re.compile(r"[^\W_]+")
_URL = re.compile(r"https?://\S+")
_LONG_TOKEN = re.compile(r"\S{60,}")
_RUN = re.compile(r"(\S)\1{7,}")
_LEAST_WORDS = 2
_REPEATED = 0.35
_SYMBOLS = 0.5


def junk(text: str) -> tuple[float, tuple[str, ...]]:
    """The score in [0, 1], and the signs behind it; an ordinary short answer has a low one."""
    return joined(text, _SIGNS)


Sign = tuple[str, float, Callable[[str], bool]]


def joined(text: str, signs: Sequence[Sign]) -> tuple[float, tuple[str, ...]]:
    """1 minus the product of what each sign leaves."""
    left, found = 1.0, []
    for name, weight, holds in signs:
        if holds(text):
            left *= 1.0 - weight
            found.append(name)
    return 1.0 - left, tuple(found)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _no_words(text: str) -> bool:
    return not _words(text)


def _few_words(text: str) -> bool:
    return 0 < len(_words(text)) <= _LEAST_WORDS


def _repeats(text: str) -> bool:
    words = _words(text)
    return len(words) >= 8 and len(Counter(words)) / len(words) < _REPEATED


def _tells_nothing(text: str) -> bool:
    return telling(text, None).told == 0 and not text.rstrip().endswith("?")


def _symbols(text: str) -> bool:
    solid = [char for char in text if not char.isspace()]
    letters = sum(char.isalnum() for char in solid)
    return len(solid) >= 8 and letters / len(solid) < _SYMBOLS


def _encoded(text: str) -> bool:
    long = [token for token in _LONG_TOKEN.findall(text) if not _URL.match(token)]
    return sum(map(len, long)) > len(text) / 2


def _bare_link(text: str) -> bool:
    return bool(_URL.search(text)) and not _words(_URL.sub(" ", text))


_SIGNS: tuple[Sign, ...] = (
    ("it has no words", 0.95, _no_words),
    ("it has one or two words", 0.25, _few_words),
    ("it repeats the same words", 0.6, _repeats),
    ("it repeats the same character", 0.5, lambda text: bool(_RUN.search(text))),
    ("it only greets, thanks or praises", 0.3, _tells_nothing),
    ("it is mostly symbols", 0.5, _symbols),
    ("it is mostly encoded data", 0.8, _encoded),
    ("it is a bare link", 0.5, _bare_link),
)
