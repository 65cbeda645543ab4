"""Long texts in pieces that a parser can hold, cut where a sentence or at least a word ends."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 1_000
"""Characters of a piece. The parser's memory and time grow with the longest text of a batch."""

_LETTERS = 0.2
_SENTENCE = re.compile(r"[.!?…]['\"”)]*\s+|\n+")


def pieces(text: str) -> Iterator[tuple[int, str]]:
    """(offset, piece) from left to right. What holds too few letters to be language is left out:
    a parser takes each sign for a word."""
    start, end = 0, len(text)
    while start < end:
        stop = min(start + LONGEST, end)
        if stop < end:
            stop = start + _cut(text[start:stop])
        piece = text[start:stop]
        if sum(map(str.isalpha, piece)) > _LETTERS * len(piece):
            yield start, piece
        start = stop


def _cut(window: str) -> int:
    last = 0
    for found in _SENTENCE.finditer(window):
        last = found.end()
    if last:
        return last
    blank = window.rfind(" ")
    return blank + 1 if blank > 0 else len(window)
