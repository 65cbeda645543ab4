"""What later statements add to facts that are derived already.

Where everything new comes after everything known, in time and in the saying of it, what was derived
so far stays, and only the facts that may be going on have to be looked at: so the cost does not
grow with how often something was said. The same as `validity` derives from all, which stands for
everything else. Knows neither why the new statements come last nor how facts are stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from memos.graph.deriving.endings import AFFIRMED, NEGATED, SUPERSEDED, confidence
from memos.graph.deriving.statements import NEVER, Key, Statement
from memos.graph.resolving.names import normal
from memos.protocols import Standing, Stretch
from memos.types import Assertion, Granularity, PredicateType

_Saying = tuple[Key, bool]


def plain(item: Assertion, *, event: bool) -> bool:
    """Whether a statement only begins or supports something at a time that nothing else moves."""
    if item.corrects or item.valid_at is None or item.invalid_at is not None:
        return False
    if item.object_id is None and item.value is None:
        return False
    return event or item.granularity is None or item.valid_at >= item.stated_at


class Going:
    """A fact that may be going on: one derived before, or one that begins."""

    def __init__(self, key: Key, *, negated: bool, standing: Standing | None = None) -> None:
        self.key = key
        self.negated = negated
        self.standing = standing
        self.items: list[Statement] = []
        self.closer: Statement | None = None
        self.rule: str | None = None
        self._end: datetime | None = None if standing is None else standing.invalid_at

    def goes_on(self, at: datetime) -> bool:
        return self.closer is None and (self._end is None or self._end > at)

    def close(self, closer: Statement, rule: str) -> None:
        self.closer, self.rule = closer, rule

    @property
    def changed(self) -> bool:
        return bool(self.items) or self.closer is not None

    def stretch(self) -> Stretch:
        valid_at, grain, end, end_grain = self._times()
        return Stretch(
            assertions=tuple(item.assertion.id for item in self.items),
            valid_at=valid_at,
            granularity=grain,
            invalid_at=end,
            invalid_granularity=end_grain,
            closed_by=None if self.closer is None else self.closer.assertion.id,
            rule=self._rule(),
            confidence=self._confidence(),
        )

    def _times(
        self,
    ) -> tuple[datetime | None, Granularity | None, datetime | None, Granularity | None]:
        held = self.standing
        begun = (held or self.items[0]).valid_at
        grain = self.items[0].grain if held is None else held.granularity
        if self.closer is not None:
            return begun, grain, self.closer.at, self.closer.grain
        return begun, grain, self._end, None if held is None else held.invalid_granularity

    def _rule(self) -> str | None:
        if self.closer is not None:
            return self.rule
        return None if self.standing is None else self.standing.rule

    def _confidence(self) -> float:
        """That not all memories err which say so; what is certain can't become surer."""
        new = [item.assertion for item in self.items]
        if self.standing is None:
            return confidence(new)
        if not new or self.standing.confidence == 1.0:
            return self.standing.confidence
        return confidence([*self.standing.assertions, *new])


class Extension:
    """Facts of one subject and predicate that may be going on, taking later statements."""

    def __init__(self, predicate: PredicateType, standing: Sequence[Standing]) -> None:
        self._predicate = predicate
        self._all: list[Going] = []
        self._of: dict[tuple[_Saying, datetime | None], Going] = {}
        self._affirmed: dict[Key, Going] = {}
        for one in standing:
            key = _key(one)
            self._put(Going(key, negated=one.negated, standing=one), one.valid_at or NEVER)

    def take(self, items: Sequence[Assertion]) -> Iterator[Going]:
        """Those that changed or began, in no order of meaning."""
        made = [Statement(item, event=self._predicate.event) for item in items]
        for item in sorted(made, key=lambda one: one.order):
            self._take(item)
        return (going for going in self._all if going.changed)

    def _put(self, going: Going, at: datetime) -> Going:
        self._all.append(going)
        self._of[self._name(going.key, at, negated=going.negated)] = going
        if not going.negated:
            self._affirmed[going.key] = going
        return going

    def _name(self, key: Key, at: datetime, *, negated: bool) -> tuple[_Saying, datetime | None]:
        """What is said to have happened at one time is one event."""
        return (key, negated), at if self._predicate.event else None

    def _take(self, item: Statement) -> None:
        event = self._predicate.event
        going = self._of.get(self._name(item.key, item.at, negated=item.negated))
        if going is None or not (event or going.goes_on(item.at)):
            going = self._put(Going(item.key, negated=item.negated), item.at)
        going.items.append(item)
        if not event:
            for other, rule in self._excluded(item):
                if other.goes_on(item.at):
                    other.close(item, rule)

    def _excluded(self, item: Statement) -> Iterator[tuple[Going, str]]:
        """What may be going on and can't, once `item` begins, and by which rule."""
        if item.negated:
            if item.key in self._affirmed:
                yield self._affirmed[item.key], NEGATED
            return
        for key in {item.key, None}:
            denial = self._of.get(((key, True), None))
            if denial is not None:
                yield denial, AFFIRMED
        if self._predicate.functional:
            for key, other in self._affirmed.items():
                if key not in (None, item.key):
                    yield other, SUPERSEDED


def _key(one: Standing) -> Key:
    if one.object_id is not None:
        return ("entity", one.object_id)
    return None if one.value is None else ("value", normal(one.value))
