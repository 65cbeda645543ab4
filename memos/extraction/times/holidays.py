"""Days with names. Dates are those of the United States where countries differ."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from memos.extraction.times.calendar import DAY, Stretch, day
from memos.extraction.times.tokens import Tokens

Feast = Callable[[int], Stretch]


def easter(year: int) -> datetime:
    """Easter Sunday of the Gregorian calendar, by the anonymous computus of 1876 (Meeus)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    f = (b - (b + 8) // 25 + 1) // 3
    g = (19 * a + b - d - f + 15) % 30
    h, i = divmod(c, 4)
    k = (32 + 2 * e + 2 * h - g - i) % 7
    m = (a + 11 * g + 22 * k) // 451
    month, last = divmod(g + k - 7 * m + 114, 31)
    return datetime(year, month, last + 1)


def _fixed(month: int, number: int) -> Feast:
    return lambda year: day(datetime(year, month, number))


def _nth(month: int, weekday: int, n: int, shift: int = 0) -> Feast:
    """The n-th such weekday of the month (-1: the last), `shift` days on."""

    def feast(year: int) -> Stretch:
        first = datetime(year, month, 1)
        found = first + ((weekday - first.weekday()) % 7 + 7 * (max(n, 1) - 1)) * DAY
        while n < 0 and (found + timedelta(days=7)).month == month:
            found += 7 * DAY
        return day(found + shift * DAY)

    return feast


def _easter(shift: int) -> Feast:
    return lambda year: day(easter(year) + shift * DAY)


# Longer names are tried first. "'s" is one token; people also leave its apostrophe out.
_NAMES: dict[str, Feast] = {
    "christmas eve": _fixed(12, 24),
    "xmas eve": _fixed(12, 24),
    "christmas day": _fixed(12, 25),
    "christmas": _fixed(12, 25),
    "xmas": _fixed(12, 25),
    "boxing day": _fixed(12, 26),
    "new year 's eve": _fixed(12, 31),
    "new years eve": _fixed(12, 31),
    "new year 's day": _fixed(1, 1),
    "new years day": _fixed(1, 1),
    "new year 's": _fixed(1, 1),
    "new years": _fixed(1, 1),
    "halloween": _fixed(10, 31),
    "valentine 's day": _fixed(2, 14),
    "valentines day": _fixed(2, 14),
    "valentine 's": _fixed(2, 14),
    "st . patrick 's day": _fixed(3, 17),
    "st patrick 's day": _fixed(3, 17),
    "fourth of july": _fixed(7, 4),
    "independence day": _fixed(7, 4),
    "juneteenth": _fixed(6, 19),
    "veterans day": _fixed(11, 11),
    "thanksgiving day": _nth(11, 3, 4),
    "thanksgiving": _nth(11, 3, 4),
    "black friday": _nth(11, 3, 4, 1),
    "cyber monday": _nth(11, 3, 4, 4),
    "memorial day": _nth(5, 0, -1),
    "labor day": _nth(9, 0, 1),
    "mother 's day": _nth(5, 6, 2),
    "mothers day": _nth(5, 6, 2),
    "father 's day": _nth(6, 6, 3),
    "fathers day": _nth(6, 6, 3),
    "good friday": _easter(-2),
    "easter sunday": _easter(0),
    "easter monday": _easter(1),
    "easter": _easter(0),
}
_BY_FIRST: dict[str, list[tuple[tuple[str, ...], Feast]]] = {}
for _name, _feast in sorted(_NAMES.items(), key=lambda item: -len(item[0])):
    _BY_FIRST.setdefault(_name.split()[0], []).append((tuple(_name.split()), _feast))
FIRST_WORDS = frozenset(_BY_FIRST)


def feast_at(tokens: Tokens, i: int) -> tuple[Feast, int] | None:
    """The feast named at `i` and the index behind its name."""
    for name, feast in _BY_FIRST.get(tokens.word(i), ()):
        after = i + len(name)
        if tuple(tokens.words[i:after]) == name:
            return feast, after
    return None
