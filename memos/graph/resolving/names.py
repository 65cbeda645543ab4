"""Names and values folded, so that two spellings of one thing compare equal.

Knows no entities and no types: what is folded alike may still be two things.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

LONGEST = 200
"""Characters of a name; what is longer is a text, not a name."""

_ARTICLES = frozenset({"a", "an", "the"})
_TITLES = frozenset({"dr", "mr", "mrs", "ms", "prof", "professor"})
_ADDRESS = re.compile(r"\s*(mr|mister|sir|mrs|ms|miss|madam)\b\.?\s+\w", re.I)
_ACCENTS = re.compile("[\u0300-\u036f]")
_APOSTROPHES = re.compile("[\u2018\u2019\u02bc\u00b4`]")
_POSSESSIVE = re.compile(r"'s(?!\w)|(?<=s)'(?!\w)")
_INITIALS = re.compile(r"(?<!\w)(?:\w\.){2,}")
# Punctuation that tells numbers apart: -5, 3.5, 1/2, 18:30, 5 %; and names: C#, a@b.
_MEANT = re.compile(r"(?<=\d)[.,:/](?=\d)|(?<![\w-])-(?=\d)|[%#@]")
_REMEMBERED = 50_000


def normal(name: str) -> str:
    """`name` without case, accents, punctuation, possessive ending, and leading article or title;
    white space is one blank. Folding twice is folding once, and nothing folds to nothing but white
    space: what is punctuation alone stays.

    Unicode NFKC and casefold (Unicode 15, section 3.13). Any length, in linear time.
    """
    return _remembered(name) if len(name) <= LONGEST else _normal(name)


def apart(one: str, other: str) -> bool:
    """Whether their titles say that they are two: "Mr. Patel" is not "Mrs. Patel"."""
    titles = {_title(one), _title(other)}
    return titles == {"m", "f"}


def titled(name: str) -> str:
    """As `normal`, with the title in front of it."""
    found = _ADDRESS.match(name)
    return normal(name) if found is None else f"{found[1].lower()} {normal(name)}"


def _title(name: str) -> str:
    found = _ADDRESS.match(name)
    if found is None:
        return ""
    return "m" if found[1].lower() in ("mr", "mister", "sir") else "f"


def forget() -> None:
    """Drops what is remembered of names folded before."""
    _remembered.cache_clear()


@lru_cache(maxsize=_REMEMBERED)
def _remembered(name: str) -> str:
    return _normal(name)


def _normal(name: str) -> str:
    text = _folded(name)
    while (again := _folded(text)) != text:
        text = again
    return text


def _folded(name: str) -> str:
    # Casefolding can leave NFKC, and NFKC can uncover capitals: one after the other, twice.
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).casefold()
    if not text.isascii():
        text = _ACCENTS.sub("", unicodedata.normalize("NFD", text))
        text = _APOSTROPHES.sub("'", unicodedata.normalize("NFC", text))
    plain = _POSSESSIVE.sub("", text)
    plain = _INITIALS.sub(lambda found: found.group().replace(".", "") + " ", plain)
    plain = _unpunctuated(plain.replace("'", "").replace("&", " and "))
    words = plain.split() or text.split() or name.split()
    while len(words) > 1 and (words[0] in _ARTICLES or words[0] in _TITLES):
        del words[0]
    return " ".join(words)


def _unpunctuated(text: str) -> str:
    if text.replace(" ", "").isalnum():
        return text
    meant = {found.start() for found in _MEANT.finditer(text)}
    return "".join(
        char if i in meant or not _is_punctuation(char) else " " for i, char in enumerate(text)
    )


def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char) in _DROPPED


_DROPPED = frozenset({"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sk", "Cc", "Cf"})
