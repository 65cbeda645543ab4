"""Which of the known speakers a text names, and where.

A speaker is named by the full name or, if that has several words, by the first name; case does not
matter, a possessive ending belongs to the mention. Names that are also everyday words ("Will",
"May") need their capital, and not as the first word; so does a short form, the beginning of a first
name ("Mel" for Melanie). The roles of a conversation are speakers only where a person is meant
("the user's budget", "what did the assistant suggest"), not in "the table of user accounts". Knows
no memories.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from memos.retrieval.reading.analysis import STOPWORDS, fold

_WORD = re.compile(r"[^\W_]+")
_POSSESSIVE = re.compile(r"['’](?:s(?!\w)|(?!\w))")
_TITLES = frozenset({"dr", "mr", "mrs", "ms", "miss", "prof", "sir", "the"})
_EVERYDAY = STOPWORDS | {"april", "august", "june", "march", "may", "mark", "rose", "grace", "hope"}
_SHORTEST = 3
"""Letters that a short form has at least."""
_ROLES = frozenset({"user", "assistant", "system", "tool"})
# Whatever comes next, a subject follows these.
_AUXILIARIES = frozenset({"did", "does", "do", "has", "had", "have"})
_AUXILIARIES |= {"can", "could", "will", "would", "shall", "should", "might", "must"}


@dataclass(frozen=True, slots=True)
class Mention:
    """`speakers` are all that the name may mean; `start` and `end` include a possessive."""

    start: int
    end: int
    speakers: frozenset[str]


class Speakers:
    """The known speakers, ready to be found in texts."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)
        self._by_words: dict[tuple[str, ...], set[str]] = {}
        self._by_start: dict[str, set[str]] = {}
        for name in sorted(self.names):
            words = tuple(_WORD.findall(fold(name)))
            if not words:
                continue
            self._by_words.setdefault(words, set()).add(name)
            first = next((word for word in words if word not in _TITLES), "")
            if len(words) > 1 and len(first) > 1:
                self._by_words.setdefault((first,), set()).add(name)
            for end in range(_SHORTEST, len(first) if first not in _ROLES else 0):
                self._by_start.setdefault(first[:end], set()).add(name)
        self._longest = max(map(len, self._by_words), default=0)

    def find(self, text: str) -> tuple[Mention, ...]:
        """Mentions from left to right, the longest name at each place."""
        words = [
            (match.start(), match.end(), fold(match.group())) for match in _WORD.finditer(text)
        ]
        found: list[Mention] = []
        i = 0
        while i < len(words):
            taken = self._at(words, i, text)
            if taken:
                start, end = words[i][0], words[i + taken - 1][1]
                tail = _POSSESSIVE.match(text, end)
                named = self._by_words.get(tuple(word[2] for word in words[i : i + taken]))
                named = named or self._by_start[words[i][2]]
                found.append(Mention(start, tail.end() if tail else end, frozenset(named)))
            i += taken or 1
        return tuple(found)

    def _at(self, words: list[tuple[int, int, str]], i: int, text: str) -> int:
        """How many words from the i-th on are a name; 0 for none."""
        for length in range(min(self._longest, len(words) - i), 0, -1):
            key = tuple(word[2] for word in words[i : i + length])
            if key in self._by_words:
                if length == 1 and key[0] in _EVERYDAY:
                    return int(i > 0 and text[words[i][0]].isupper())
                if length == 1 and key[0] in _ROLES:
                    return int(_is_person(words, i, text))
                return length
        return int(self._is_short_form(words, i, text))

    def _is_short_form(self, words: list[tuple[int, int, str]], i: int, text: str) -> bool:
        """Whether the i-th word is the beginning of just one speaker's first name, capitalised
        where a common word would not be."""
        start, end, word = words[i]
        if len(self._by_start.get(word, ())) != 1 or word in _EVERYDAY:
            return False
        capital = text[start].isupper() and not text[start:end].isupper()
        return capital and (i > 0 or _POSSESSIVE.match(text, end) is not None)


def _is_person(words: list[tuple[int, int, str]], i: int, text: str) -> bool:
    """Whether the role that is the i-th word stands alone, rather than in front of a noun."""
    if _POSSESSIVE.match(text, words[i][1]):
        return True
    if i == 0 or words[i - 1][2] != "the":
        return False
    followed = i + 1 < len(words) and not text[words[i][1] : words[i + 1][0]].strip()
    asked = i > 1 and words[i - 2][2] in _AUXILIARIES
    return asked or not followed or words[i + 1][2] in STOPWORDS
