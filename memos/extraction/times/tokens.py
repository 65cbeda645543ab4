"""A text as words, numbers and marks, each with its place. Knows nothing of their meaning."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\d+|[^\W\d_]+|['’](?:s|ll|ve|re|m|d|t)(?![^\W_])|[^\w\s]|_", re.I)
_JOINTS = frozenset("'\"“‘(-–—[/*@,;:~>")


class Tokens:
    """`words` are lower case with straight apostrophes; `raw` is what was written."""

    __slots__ = ("ends", "raw", "starts", "text", "words")

    def __init__(self, text: str) -> None:
        self.text = text
        self.raw: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        for match in _TOKEN.finditer(text):
            self.raw.append(match[0])
            self.starts.append(match.start())
            self.ends.append(match.end())
        self.words = [raw.lower().replace("’", "'") for raw in self.raw]

    def __len__(self) -> int:
        return len(self.words)

    def word(self, i: int) -> str:
        """The token at `i`; empty beyond either end."""
        return self.words[i] if 0 <= i < len(self.words) else ""

    def capital(self, i: int) -> bool:
        return 0 <= i < len(self.raw) and self.raw[i][0].isupper()

    def joined(self, i: int) -> bool:
        """Whether token `i` follows the one before it without a space."""
        return 0 < i < len(self.words) and self.ends[i - 1] == self.starts[i]

    def free(self, i: int) -> bool:
        """Whether token `i` begins something: nothing but opening marks is glued before it."""
        return not self.joined(i) or self.words[i - 1] in _JOINTS

    def at(self, offset: int, i: int) -> int:
        """Index of the first token from `i` on that starts at or after character `offset`."""
        while i < len(self.starts) and self.starts[i] < offset:
            i += 1
        return i

    def skip(self, i: int, *words: str) -> int:
        """`i` moved past the token there if it is one of `words`."""
        return i + 1 if self.word(i) in words else i
