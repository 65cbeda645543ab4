"""How much a text tells: the length of what it asserts, and how many names it holds.

Talk is full of turns that greet, thank, praise and ask; what is looked for later stands in those
that assert. This is told from the text's form alone, once, when it is analysed; it is kept behind
the text's terms as a mark that is no term. Rules for English; other languages get their length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARK = "#"
_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\n+|\s+[-–—]\s+")
_OPENING = re.compile(
    r"(?:hey|hi|hello|thanks|thank you|wow|yeah|yep|yes|no|oh|congrat|that's|sounds|cool|awesome"
    r"|what's up|how's|long time|absolutely|totally|definitely|glad|exactly|sure)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]+")
_CHARS_PER_TERM = 6


@dataclass(frozen=True, slots=True)
class Telling:
    """`told`: characters of sentences that neither ask nor greet, thank, agree or praise at their
    start. `names`: words with a capital that no sentence begins with."""

    told: int
    names: int


def telling(text: str) -> Telling:
    """Of any text; one without words tells nothing."""
    # A sentence that opens with praise is passed over as a whole: mostly it is all praise.
    sentences = (part.strip() for part in _SENTENCE.split(text.replace("’", "'")))
    told = sum(
        len(sentence)
        for sentence in sentences
        if not sentence.endswith(("?", "？")) and not _OPENING.match(sentence)
    )
    return Telling(told=told, names=len(_NAME.findall(text)))


def marked(terms: str, found: Telling) -> str:
    """`terms`, joined by blanks, with the mark behind them."""
    return f"{terms} {_MARK}{found.told}.{found.names}".lstrip()


def unmarked(text: str) -> tuple[str, Telling]:
    """Undoes `marked`. Terms without a mark, of an older analyser, are taken to be assertions."""
    terms, _, mark = text.rpartition(" ")
    if not mark.startswith(_MARK):
        return text, Telling(told=_CHARS_PER_TERM * len(text.split()), names=0)
    told, _, names = mark[1:].partition(".")
    return terms, Telling(told=int(told), names=int(names))
