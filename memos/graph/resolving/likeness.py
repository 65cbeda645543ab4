"""Whether two names that are not the same may mean the same thing.

Knows folded names and vectors; nothing of a cube. When in doubt two names are two things: two that
should be one can be merged at any time, but facts of two people taken for one close each other.
"""

from __future__ import annotations

import re

from rapidfuzz.distance import OSA

from memos.graph.resolving.nicknames import may_be_same
from memos.retrieval.reading.analysis import analyze

NEAR = 0.93
"""Cosine of two names that mean the same."""

_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_COUNT_WORDS = """
    one two three four five six seven eight nine ten eleven twelve once twice both half
    first second third fourth fifth sixth seventh eighth ninth tenth last next previous former
    new old young north south east west left right upper lower junior senior jr sr ii iii iv
    v x b c no not non without
"""
_COUNTS = frozenset(_COUNT_WORDS.split())
"""Words that tell apart what is otherwise called the same."""


def same_numbers(one: str, other: str) -> bool:
    """Whether folded names have the same numbers, ordinals and other words that tell apart."""
    return _numbers(one) == _numbers(other)


def _numbers(name: str) -> list[str]:
    return sorted(_NUMBER.findall(name) + [word for word in name.split() if word in _COUNTS])


def misspelt(one: str, other: str, *, person: bool) -> bool:
    """Whether folded proper names differ by a slip of the pen.

    One edit (insertion, deletion, substitution, swap of neighbours) from 8 letters on, two from 14;
    the first letters are the same. Of people's names only one word may differ, it must be long, and
    not in its end, which tells Daniel from Daniela and Maria from Mario.
    """
    if one == other or not same_numbers(one, other) or one[:1] != other[:1]:
        return one == other
    if person:
        return _person_misspelt(one.split(), other.split())
    length = min(len(one), len(other))
    allowed = 2 if length >= 14 else int(length >= 8)
    return bool(allowed) and OSA.distance(one, other, score_cutoff=allowed) <= allowed


def _person_misspelt(one: list[str], other: list[str]) -> bool:
    if len(one) != len(other):
        return False
    differing = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
    if len(differing) != 1:
        return False
    ((a, b),) = differing
    least = 6 if len(one) > 1 else 8
    if min(len(a), len(b)) < least or a[:2] != b[:2] or a[-2:] != b[-2:]:
        return False
    return OSA.distance(a, b, score_cutoff=1) <= 1


def same_plural(one: str, other: str) -> bool:
    """Whether names of things differ only by the plural of their last word."""
    longer, shorter = (one, other) if len(one) > len(other) else (other, one)
    if len(shorter) < 3:
        return False
    if shorter.endswith(("s", "x", "z", "ch", "sh")):
        return longer == shorter + "es"
    return longer == shorter + "s" or (shorter.endswith("y") and longer == shorter[:-1] + "ies")


def short_for(one: str, other: str) -> bool:
    """Whether folded names of people can be one person's: Liz and Elizabeth Smith, Anna and Anna
    Smith; not Liz Jones and Elizabeth Smith."""
    a, b = one.split(), other.split()
    if not a or not b or not may_be_same(a[0], b[0]):
        return False
    return len(a) == 1 or len(b) == 1 or a[1:] == b[1:]


def same_meaning(one: str, other: str, cosine: float) -> bool:
    """Whether names of several words, with the cosine of their vectors, mean the same thing. Beside
    the cosine they must share most words: a cello lesson is near a violin lesson."""
    if cosine < NEAR or not same_numbers(one, other):
        return False
    a, b = set(analyze(one)), set(analyze(other))
    return bool(a and b) and (a == b or (len(a ^ b) == 1 and len(a & b) >= 2))
