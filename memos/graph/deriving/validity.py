"""Which facts follow from assertions: when each becomes true, what ends it, and by which rule.

A pure function of the assertions of one subject and predicate and of the rulings over them. Knows
neither how they came about nor how facts are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from memos.graph.deriving.endings import AFFIRMED, ENDED, NEGATED, SUPERSEDED, confidence
from memos.graph.deriving.extension import Extension, plain
from memos.graph.deriving.spans import Spans
from memos.graph.deriving.statements import LATEST, NEVER, Key, Statement, key_of, statements
from memos.graph.resolving.names import normal
from memos.graph.vocabulary import Vocabulary
from memos.protocols import Standing, Stretch
from memos.types import Assertion, Granularity, PredicateType, Ruling, RulingKind

_VERSION = "2"


class Rules:
    """`memos.protocols.Derivation`; its rules are described in docs/graph.md.

    O(n log n) for n assertions. Times are compared by the start of their period.
    """

    def __init__(self, vocabulary: Vocabulary | None = None) -> None:
        self._vocabulary = vocabulary or Vocabulary()

    @property
    def version(self) -> str:
        return f"validity-{_VERSION}"

    def folded(self, value: str) -> str:
        return normal(value)

    def predicate(self, name: str) -> PredicateType:
        return self._vocabulary.predicate(name)

    def derive(
        self,
        predicate: PredicateType,
        assertions: Sequence[Assertion],
        rulings: Sequence[Ruling],
    ) -> tuple[Stretch, ...]:
        """In order of time; `closed_by` is the first assertion of what closed a stretch there."""
        items = statements(assertions, functional=predicate.functional, event=predicate.event)
        if predicate.event:
            return _events(items)
        timeline = _Timeline(functional=predicate.functional, kept=_kept(assertions, rulings))
        for item in items:
            timeline.take(item)
        return timeline.stretches()

    def plain(self, predicate: PredicateType, assertion: Assertion) -> bool:
        return plain(assertion, event=predicate.event)

    def extend(
        self,
        predicate: PredicateType,
        standing: Sequence[Standing],
        assertions: Sequence[Assertion],
    ) -> tuple[tuple[Standing | None, Stretch], ...]:
        """O(m + n log n) for m facts that may be going on and n assertions."""
        taken = Extension(predicate, standing).take(assertions)
        return tuple((going.standing, going.stretch()) for going in taken)


def _events(items: Iterable[Statement]) -> tuple[Stretch, ...]:
    """What is said to have happened at the same time is one event; nothing ends it."""
    runs: dict[tuple[Key, bool, datetime], _Run] = {}
    for item in items:
        name = (item.key, item.negated, item.at)
        if name in runs:
            runs[name].items.append(item)
        else:
            runs[name] = _Run(item)
    return tuple(run.stretch() for run in runs.values())


_Saying = tuple[Key, bool]
_Kept = dict[str, set[_Saying]]
"""Assertion id → what may not close a fact that rests on it."""


def _kept(assertions: Iterable[Assertion], rulings: Iterable[Ruling]) -> _Kept:
    """A ruling names the assertions of the fact that stays open and those of what had closed it. It
    holds for whatever else says the same as these."""
    found: _Kept = {}
    standing = [r for r in rulings if r.kind is RulingKind.KEEP_OPEN and r.revoked_at is None]
    if not standing:
        return found
    said = {item.id: (key_of(item), item.negated) for item in assertions if item.active}
    for ruling in standing:
        sayings = {said[name] for name in ruling.assertions if name in said}
        for name in ruling.assertions:
            if name in said:
                found.setdefault(name, set()).update(sayings - {said[name]})
    return found


class _Run:
    """A stretch in the making."""

    __slots__ = ("closer", "done", "end", "end_grain", "end_stated", "items", "kept", "rule")

    def __init__(self, first: Statement) -> None:
        self.items = [first]
        self.kept: set[_Saying] = set()
        self.end: datetime | None = None
        self.end_grain: Granularity | None = None
        self.end_stated: tuple[datetime, float, datetime] | None = None
        self.closer: Statement | None = None
        self.rule: str | None = None
        self.done = False

    @property
    def first(self) -> Statement:
        return self.items[0]

    def expect(self, item: Statement) -> None:
        """Takes over when `item` says it ends, if no later statement says otherwise."""
        if item.end is None:
            return
        said = item.assertion
        stated = (said.stated_at, said.confidence, item.end)
        if self.end_stated is None or stated > self.end_stated:
            self.end, self.end_grain, self.end_stated = item.end, item.end_grain, stated

    def finish(self, end: datetime, grain: Granularity | None, rule: str) -> None:
        self.end, self.end_grain, self.rule, self.done = end, grain, rule, True

    def stretch(self) -> Stretch:
        ended = self.end is not None and not self.done
        return Stretch(
            assertions=tuple(item.assertion.id for item in self.items),
            valid_at=self.first.valid_at,
            granularity=self.first.grain,
            invalid_at=self.end,
            invalid_granularity=self.end_grain,
            closed_by=None if self.closer is None else self.closer.assertion.id,
            rule=ENDED if ended else self.rule,
            confidence=confidence([item.assertion for item in self.items]),
        )


class _Timeline:
    """Statements of one subject and predicate, taken in their order in time."""

    def __init__(self, *, functional: bool, kept: _Kept) -> None:
        self._functional = functional
        self._kept = kept
        self._runs: list[_Run] = []
        self._of: dict[_Saying, list[_Run]] = {}
        self._over: Spans[Statement] = Spans()
        """When an affirmed object held that no longer does."""
        self._open: dict[Key, _Run] = {}
        """Affirmed runs that may be going on."""

    def _last(self, key: Key, negated: bool) -> _Run | None:
        runs = self._of.get((key, negated))
        return runs[-1] if runs else None

    def stretches(self) -> tuple[Stretch, ...]:
        return tuple(run.stretch() for run in self._runs)

    def take(self, item: Statement) -> None:
        if item.former:
            self._take_former(item)
            return
        run = self._last(item.key, item.negated)
        if run is None or not self._goes_on(run, item.at):
            run = self._begin(item)
        else:
            self._support(run, item)
        run.expect(item)
        for other in self._excluded(item):
            self._close(other, item)

    def _excluded(self, item: Statement) -> list[_Run]:
        """What may be going on and can't, once `item` begins."""
        if item.negated:
            runs = [self._open.get(item.key)] if item.key else list(self._open.values())
            return [run for run in runs if run is not None]
        denials = [self._last(key, True) for key in {item.key, None}]
        found = [run for run in denials if run is not None]
        if self._functional and item.key is not None:
            found += [run for key, run in self._open.items() if key not in (None, item.key)]
        return found

    def _begin(self, item: Statement) -> _Run:
        run = _Run(item)
        run.kept.update(self._kept.get(item.assertion.id, ()))
        self._runs.append(run)
        self._of.setdefault((item.key, item.negated), []).append(run)
        if not item.negated:
            self._open[item.key] = run
        return run

    def _support(self, run: _Run, item: Statement) -> None:
        run.items.append(item)
        run.kept.update(self._kept.get(item.assertion.id, ()))

    def _goes_on(self, run: _Run, at: datetime) -> bool:
        if not run.done and run.end is not None and run.end <= at:
            self._finish(run, run.end, run.end_grain, ENDED)
        return not run.done

    def _close(self, run: _Run, closer: Statement) -> None:
        if not self._goes_on(run, closer.at) or (closer.key, closer.negated) in run.kept:
            return
        run.closer = closer
        self._finish(run, closer.at, closer.grain, _rule(closer, run.first))

    def _finish(self, run: _Run, end: datetime, grain: Granularity | None, rule: str) -> None:
        run.finish(end, grain, rule)
        if not run.first.negated:
            del self._open[run.first.key]
            if run.first.key is not None:
                self._over.add(run.first.at, end, run.first)

    def _take_former(self, item: Statement) -> None:
        """Who used to live in Rome ends what was said of Rome before; else a time in Rome of which
        nobody knows when it began: the last one before its end in which it can have been so."""
        end = item.end
        assert end is not None
        run = self._last(item.key, item.negated)
        if run is not None:
            self._support(run, item)
            if self._goes_on(run, end):
                self._finish(run, end, item.end_grain, ENDED)
            return
        since, bound, closer = self._room_before(item, end)
        run = self._begin(item)
        if closer is not None and (closer.key, closer.negated) in run.kept:
            self._finish(run, end, item.end_grain, ENDED)
            return
        if bound == NEVER:  # There is no such time.
            item.begin(end, item.end_grain)
            self._finish(run, end, item.end_grain, ENDED)
            return
        item.begin(since, None)
        run.closer = closer
        if closer is None:
            self._finish(run, end, item.end_grain, ENDED)
        else:
            self._finish(run, bound, closer.grain, _rule(closer, item))

    def _room_before(
        self, item: Statement, end: datetime
    ) -> tuple[datetime | None, datetime, Statement | None]:
        """The last time up to `end` beside which nothing is known that excludes `item`: since when,
        until when, and what begins then. Until NEVER: there is none."""
        excluding = self._denied(item, end)
        bound, closer = end, None
        if self._functional and not item.negated and item.key is not None:
            excluding.append(self._over)
            for run in [run for key, run in self._open.items() if key is not None]:
                if self._goes_on(run, end) and run.first.at < bound:
                    bound, closer = run.first.at, run.first
        moved = True
        while moved:
            moved = False
            for spans in excluding:
                if (found := spans.reaching(bound)) is not None:
                    (bound, closer), moved = found, True
        ends = [spans.last_end(bound) for spans in excluding]
        return max(filter(None, ends), default=None), bound, closer

    def _denied(self, item: Statement, end: datetime) -> list[Spans[Statement]]:
        """When the opposite of `item` held."""
        spans: Spans[Statement] = Spans()
        for key in {item.key} if item.negated else {item.key, None}:
            for run in self._of.get((key, not item.negated), ()):
                going_on = self._goes_on(run, end) or run.end is None
                spans.add(run.first.at, LATEST if going_on else run.end or LATEST, run.first)
        return [spans]


def _rule(closer: Statement, closed: Statement) -> str:
    if closer.negated is closed.negated:
        return SUPERSEDED
    return NEGATED if closer.negated else AFFIRMED
