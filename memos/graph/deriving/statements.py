"""Assertions made ready for the timeline: what each counts as, and from when.

An assertion's time may be missing, vague or corrected by a later one. What is decided here depends
on all assertions of the group and on nothing else, least of all on the order in which they came.
"""

from __future__ import annotations

import calendar
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone

from memos.graph.resolving.names import normal
from memos.types import Assertion, Granularity

NEVER = datetime.min.replace(tzinfo=timezone.utc)
"""Sorts before every time: since before anything known."""
LATEST = datetime.max.replace(tzinfo=timezone.utc)

_LENGTHS = {
    Granularity.SECOND: timedelta(0),
    Granularity.MINUTE: timedelta(minutes=1),
    Granularity.HOUR: timedelta(hours=1),
    Granularity.DAY: timedelta(days=1),
    Granularity.WEEK: timedelta(days=7),
}
_MONTHS = {
    Granularity.MONTH: 1,
    Granularity.SEASON: 3,
    Granularity.YEAR: 12,
    Granularity.DECADE: 120,
}

Key = tuple[str, str] | None
"""What an assertion is about, beside subject and predicate; None: anything."""


class Statement:
    """One assertion as the timeline sees it: `key` is its object or value, it begins at `at`, which
    is NEVER where `valid_at` is None."""

    __slots__ = (
        "_rest",
        "assertion",
        "at",
        "end",
        "end_grain",
        "grain",
        "key",
        "negated",
        "valid_at",
    )

    def __init__(self, assertion: Assertion, *, event: bool) -> None:
        self.assertion = assertion
        self.key = key_of(assertion)
        self.negated = assertion.negated
        self.valid_at = assertion.valid_at
        self.grain = assertion.granularity
        self.at = assertion.valid_at or NEVER
        self.end = None if event else assertion.invalid_at
        self.end_grain = None if event else assertion.invalid_granularity
        rest = (assertion.value, assertion.quantity, assertion.unit, assertion.place)
        self._rest = f"{self.end} {self.end_grain} {self.grain} {rest}"

    @property
    def former(self) -> bool:
        """It says only until when ("I used to live in Rome"): the end of something."""
        return self.valid_at is None and self.end is not None

    @property
    def order(self) -> _Order:
        """By time; at the same time ends come before beginnings; then what was stated later, what
        is surer. What is equal in all this is ordered by what else it says, and last by its id."""
        said = self.assertion
        rank, at = (0, self.end or NEVER) if self.former else (1, self.at)
        return (at, rank, said.stated_at, said.confidence, self._rest, said.id)

    def begin(self, valid_at: datetime | None, grain: Granularity | None) -> None:
        """It begins at `valid_at` instead; it can't have ended before."""
        self.valid_at, self.grain, self.at = valid_at, grain, valid_at or NEVER
        if self.end is not None and self.end < self.at:
            self.end, self.end_grain = self.at, grain


_Order = tuple[datetime, int, datetime, float, str, str]


def _order(item: Statement) -> _Order:
    return item.order


def end_of(start: datetime, grain: Granularity) -> datetime:
    """Where the period that begins at `start` ends."""
    if grain in _LENGTHS:
        length = _LENGTHS[grain]
        return start + length if start <= LATEST - length else LATEST
    months = start.year * 12 + start.month - 1 + _MONTHS[grain]
    year, month = divmod(months, 12)
    if year > LATEST.year:
        return LATEST
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)


def key_of(assertion: Assertion) -> Key:
    if assertion.object_id is not None:
        return ("entity", assertion.object_id)
    return None if assertion.value is None else ("value", normal(assertion.value))


def statements(
    assertions: Iterable[Assertion], *, functional: bool, event: bool
) -> list[Statement]:
    """Those that count, in their order in time. O(n log n) for n assertions."""
    found = [Statement(item, event=event) for item in assertions if item.active]
    if any(item.assertion.corrects for item in found):
        found = _corrected(found, functional=functional and not event, event=event)
    if not event:
        _place_vague(found, functional=functional)
    return sorted(found, key=lambda item: item.order)


def _place_vague(found: Sequence[Statement], *, functional: bool) -> None:
    """News of a vague time comes after what was said to be so within that time, and before it.

    Who said in mid May "I live in Rome" and in June "I moved to Paris last month" has moved after
    mid May: the month's beginning, which counts elsewhere, would have them live in Rome since.
    """
    present = _Present(found)
    moved = []
    for item in found:
        if item.grain is None or item.valid_at is None:
            continue
        bound = min(end_of(item.at, item.grain), item.assertion.stated_at)
        possible = bound > item.at and (item.end is None or bound < item.end)
        if possible and present.contradicts(item, bound, functional=functional):
            moved.append((item, bound))
    for item, bound in moved:
        item.begin(bound, item.grain)


class _Present:
    """What is said in the present tense, at the very time of saying it, by that time."""

    def __init__(self, found: Iterable[Statement]) -> None:
        self._of: dict[tuple[Key, bool], list[datetime]] = {}
        plain = [item for item in found if item.valid_at == item.assertion.stated_at]
        plain.sort(key=lambda item: item.at)
        for item in plain:
            self._of.setdefault((item.key, item.negated), []).append(item.at)
        affirmed = [item for item in plain if not item.negated]
        self._times = [item.at for item in affirmed]
        self._keys = [item.key for item in affirmed]
        # For each, the nearest before it that is of another object; -1: none.
        self._other: list[int] = []
        for i, key in enumerate(self._keys):
            same = i > 0 and self._keys[i - 1] == key
            self._other.append(self._other[-1] if same else i - 1)

    def contradicts(self, item: Statement, bound: datetime, *, functional: bool) -> bool:
        """Whether anything said from the item's time up to `bound` excludes the item."""
        if item.negated:
            if item.key is None:
                return self._any_within(self._times, item.at, bound)
            return self._any_within(self._of.get((item.key, False), ()), item.at, bound)
        denied = (self._of.get((key, True), ()) for key in {item.key, None})
        if any(self._any_within(times, item.at, bound) for times in denied):
            return True
        return functional and item.key is not None and self._another_within(item, bound)

    def _another_within(self, item: Statement, bound: datetime) -> bool:
        first, last = bisect_left(self._times, item.at), bisect_left(self._times, bound) - 1
        if last < first:
            return False
        return self._keys[last] != item.key or self._other[last] >= first

    @staticmethod
    def _any_within(times: Sequence[datetime], start: datetime, bound: datetime) -> bool:
        i = bisect_left(times, start)
        return i < len(times) and times[i] < bound


def _said(item: Statement) -> tuple[datetime, bool, int, _Order]:
    said = item.assertion
    return (said.stated_at, said.corrects, said.start, item.order)


def _corrected(found: Sequence[Statement], *, functional: bool, event: bool) -> list[Statement]:
    """Without what was corrected, the corrections in its place in time."""
    known = _Known(functional=functional, event=event)
    for item in sorted(found, key=_said):
        if item.assertion.corrects:
            _correct(item, known)
        known.add(item)
    return known.all()


def _correct(item: Statement, known: _Known) -> None:
    said = item.assertion
    wrong = known.meant(item)
    if wrong and wrong[0].key == item.key and not item.negated and item.valid_at is None:
        wrong = []  # It says the same again; there is nothing to correct.
    if item.valid_at is None and not item.former:
        first = min(wrong, key=lambda other: other.order, default=None)
        if first is None:
            item.begin(said.stated_at, None)
        else:
            item.begin(first.valid_at, first.grain)
    known.remove(wrong)


class _Known:
    """Statements up to some time of saying, in their order in time."""

    def __init__(self, *, functional: bool, event: bool) -> None:
        self._functional = functional
        self._event = event
        self._lists: dict[tuple[Key, bool] | None, list[Statement]] = {}
        """By object and negation; under None all affirmed ones."""
        self._gone: set[str] = set()
        self._all: list[Statement] = []

    def all(self) -> list[Statement]:
        return [item for item in self._all if item.assertion.id not in self._gone]

    def add(self, item: Statement) -> None:
        self._all.append(item)
        for name in self._names(item):
            insort(self._lists.setdefault(name, []), item, key=_order)

    def remove(self, items: Iterable[Statement]) -> None:
        for item in items:
            self._gone.add(item.assertion.id)
            for name in self._names(item):
                held = self._lists[name]
                del held[bisect_left(held, item.order, key=_order)]

    def meant(self, item: Statement) -> list[Statement]:
        """The statement that `item` corrects, with those that had said the same until then: of the
        object that it replaces, else of the one current when it was said. Of what stands side by
        side only the same object can be meant."""
        said = item.assertion
        if said.replaces is not None:
            keys: list[Key] = [("entity", said.replaces), ("value", normal(said.replaces))]
            lists = [self._lists.get((key, False), []) for key in keys]
        elif self._functional:
            lists = [self._lists.get(None, [])]
        else:
            lists = [self._lists.get((item.key, False), [])]
        for held in lists:
            i = bisect_left(held, (said.stated_at, 2, NEVER, 0.0, "", ""), key=_order)
            if i:
                target = held[i - 1]
                if item.negated and item.key not in (None, target.key):
                    return []
                return self._stretch(target)
        return []

    def _stretch(self, target: Statement) -> list[Statement]:
        """`target` and those before it of its object, back to the last thing that ended it."""
        held = self._lists[(target.key, False)]
        i = bisect_left(held, target.order, key=_order)
        if self._event:
            return [other for other in held[: i + 1] if other.at == target.at]
        since = max(self._denials(target), default=(NEVER, 0))
        if self._functional:
            since = max(since, self._other_before(target))
        found = []
        while i >= 0 and held[i].order[:2] >= since:
            found.append(held[i])
            i -= 1
        return found

    def _denials(self, target: Statement) -> list[tuple[datetime, int]]:
        found = []
        for key in {target.key, None}:
            held = self._lists.get((key, True), [])
            i = bisect_left(held, target.order, key=_order)
            if i:
                found.append(held[i - 1].order[:2])
        return found

    def _other_before(self, target: Statement) -> tuple[datetime, int]:
        held = self._lists[None]
        i = bisect_left(held, target.order, key=_order) - 1
        while i >= 0 and held[i].key == target.key:
            i -= 1
        return held[i].order[:2] if i >= 0 else (NEVER, 0)

    @staticmethod
    def _names(item: Statement) -> list[tuple[Key, bool] | None]:
        return [(item.key, item.negated)] if item.negated else [(item.key, False), None]
