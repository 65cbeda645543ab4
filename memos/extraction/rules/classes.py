"""Word classes and forms of parsed tokens: what the parser's attribute ruler says, remembered.

The ruler matches some 180 patterns against every text, a fifth of the time that parsing takes.
What it says of a token depends on a handful of its attributes and on a few words only, so that it
is asked once for each combination of these. Knows spaCy's patterns, no rules of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from spacy.tokens import Doc

_SET: list[int | str] = ["POS", "MORPH", "TAG", "DEP"]
"""What is kept of what the ruler sets: the rules take base forms from the lemmatizer."""
_SEEN: list[int | str] = ["TAG", "LOWER", "DEP", "IS_SPACE"]

_Key = tuple[int, int, int, int, int]
_Classes = tuple[int, int, int, int]


class WordClasses:
    """Sets class, form, tag and dependency of the tokens of parsed documents.

    As spaCy's attribute ruler does, but for lemmas, which stay unset. A ruler whose patterns look
    at more than is known here is asked about every document.
    """

    def __init__(self, ruler: Any) -> None:
        self._ruler = ruler
        seen = _looked_for(ruler.patterns)
        strings = ruler.vocab.strings
        self._words, self._former = (
            frozenset(strings.add(each) for each in part) for part in seen or (set(), set())
        )
        self._asks = seen is None
        self._known: dict[_Key, _Classes] = {}

    def assign(self, docs: Sequence[Doc]) -> None:
        for doc in docs:
            if len(doc):
                self._assign(doc)

    def _assign(self, doc: Doc) -> None:
        if self._asks:
            self._ruler(doc)
            return
        keys = self._keys(doc)
        try:
            found = [self._known[key] for key in keys]
        except KeyError:
            self._ruler(doc)
            said = doc.to_array(_SET).tolist()
            self._known.update(zip(keys, (tuple(row) for row in said), strict=True))
            return
        values: Any = np.array(found, dtype=np.uint64)
        doc.from_array(_SET, values)

    def _keys(self, doc: Doc) -> list[_Key]:
        keys = []
        former = 0
        for tag, lower, dep, space in doc.to_array(_SEEN).tolist():
            keys.append((tag, lower if lower in self._words else 0, dep, space, former))
            former = dep if dep in self._former else 0
        return keys


def _looked_for(patterns: Sequence[Mapping[str, Any]]) -> tuple[set[str], set[str]] | None:
    """The words of a token, and the dependencies of the one before it, that patterns look for; None
    if a pattern looks at anything but these and the token's own tag and dependency."""
    words: set[str] = set()
    former: set[str] = set()
    for rule in patterns:
        if not set(_SET).intersection(rule["attrs"]):
            continue
        for tokens in rule["patterns"]:
            *before, token = tokens
            if len(before) > 1 or rule["index"] != len(before) or not set(token).issubset(_SEEN):
                return None
            word = _values(token.get("LOWER", []))
            ends = [_values(each["DEP"]) if set(each) == {"DEP"} else None for each in before]
            if word is None or None in ends:
                return None
            words.update(word)
            former.update(*(end for end in ends if end))
    return words, former


def _values(asked: str | list[str] | Mapping[str, Any]) -> list[str] | None:
    """What an attribute may be by a part of a pattern; None if that is no list."""
    if isinstance(asked, str):
        return [asked]
    if isinstance(asked, Mapping):
        return list(asked["IN"]) if set(asked) == {"IN"} else None
    return asked
