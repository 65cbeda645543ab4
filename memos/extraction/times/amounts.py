"""How many of which unit: "three years", "a couple of weeks", "a day or two", "2.5 hours".

Knows no dates; what is made of an amount stands in the readers.
"""

from __future__ import annotations

from dataclasses import dataclass

from memos.extraction.times.utterance import Utterance
from memos.extraction.times.words import NUMBERS, TENS, UNITS

# A fraction of a unit is counted in the finer one: a year and a half is 18 months.
_FINER = {"decade": ("year", 10), "year": ("month", 12), "month": ("week", 4), "week": ("day", 7),
          "day": ("hour", 24), "hour": ("minute", 60), "fortnight": ("week", 2)}  # fmt: skip
_PADDING = frozenset({"long", "full", "whole", "short", "good", "solid", "straight", "more"})


@dataclass(frozen=True, slots=True)
class Amount:
    """`low` to `high` of a unit; whole numbers."""

    low: int
    high: int
    unit: str


def number_at(u: Utterance, i: int) -> tuple[float, float, int] | None:
    """The number at `i` as a range, and the index behind it."""
    word = u.word(i)
    if word in {"a", "an"}:
        i = u.tokens.skip(i + 1, "good", "whole", "full", "solid", "single")
        return _vague(u, i) or (1, 1, i)
    if word == "half":
        after = u.tokens.skip(i + 1, "a", "an")
        return (0.5, 0.5, after) if u.word(after) in UNITS else None
    if found := _vague(u, i):
        return found
    value = _value(u, i)
    if value is None:
        return None
    low, after = value
    if u.word(after) == "and" and u.word(after + 1) == "a" and u.word(after + 2) == "half":
        return low + 0.5, low + 0.5, after + 3
    if u.word(after) in {"or", "to", "-", "–"} and (high := _value(u, after + 1)):
        return (low, high[0], high[1]) if high[0] > low else None
    return low, low, after


def _vague(u: Utterance, i: int) -> tuple[float, float, int] | None:
    if u.word(i) == "few":
        return 2, 4, i + 1
    if u.word(i) == "several":
        return 3, 7, i + 1
    if u.word(i) == "couple":
        return 2, 2, u.tokens.skip(u.tokens.skip(i + 1, "of"), "more")
    if u.word(i) == "dozen":
        return 12, 12, i + 1
    return None


def _value(u: Utterance, i: int) -> tuple[float, int] | None:
    word = u.word(i)
    if word in NUMBERS:
        return NUMBERS[word], i + 1
    if word in TENS:
        at = u.tokens.skip(i + 1, "-")
        one = NUMBERS.get(u.word(at), 99)
        return (TENS[word] + one, at + 1) if one < 10 else (TENS[word], i + 1)
    if not word.isdecimal() or len(word) > 4 or not u.tokens.free(i):
        return None
    if u.word(i + 1) == "." and u.tokens.joined(i + 1) and u.word(i + 2) == "5":
        return int(word) + 0.5, i + 3
    return int(word), i + 1


def amount_at(u: Utterance, i: int) -> tuple[Amount, int] | None:
    """ "three years", "a year and a half", "two or three weeks", "a day or two"."""
    found = number_at(u, i)
    if found is None:
        return None
    low, high, at = found
    while u.word(at) in _PADDING:
        at += 1
    at = u.tokens.skip(at, "-") if u.word(at) == "-" and not u.tokens.joined(at) else at
    name = UNITS.get(u.word(at))
    if name is None or (u.tokens.joined(at) and u.word(at - 1) == "-"):
        return None
    at += 1
    if u.word(at) == "and" and u.word(at + 1) == "a" and u.word(at + 2) == "half":
        low, high, at = low + 0.5, high + 0.5, at + 3
    elif u.word(at) == "or" and u.word(at + 1) in {"so", "two", "three"}:
        high, at = (
            max(high, {"so": high}.get(u.word(at + 1), NUMBERS.get(u.word(at + 1), 1))),
            at + 2,
        )
    if low % 1 or high % 1:
        if name not in _FINER:
            return None
        name, per = _FINER[name]
        low, high = low * per, high * per
    return Amount(int(low), int(high), name), at
