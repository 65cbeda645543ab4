"""A derivation for the storage tests: small enough to see through, strict about its input.

Functional predicates (`lives_in`) are a timeline: the next different object closes the former.
Others stand side by side per object until it, or all, is negated. Events (`visited`) never close.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from memos.protocols import Stretch
from memos.types import Assertion, PredicateType, Ruling, RulingKind

_NEVER = datetime.min.replace(tzinfo=timezone.utc)
FUNCTIONAL = {"lives_in", "age"}
EVENTS = {"visited"}


class SmallRules:
    """`memos.protocols.Derivation`."""

    version = "small-1"

    def folded(self, value: str) -> str:
        return value.casefold().strip()

    def predicate(self, name: str) -> PredicateType:
        return PredicateType(name=name, functional=name in FUNCTIONAL, event=name in EVENTS)

    def derive(
        self,
        predicate: PredicateType,
        assertions: Sequence[Assertion],
        rulings: Sequence[Ruling],
    ) -> tuple[Stretch, ...]:
        assert all(item.active for item in assertions)
        assert len({(item.subject_id, item.predicate) for item in assertions}) <= 1
        if predicate.event:
            return tuple(_stretch([item]) for item in assertions)
        kept = {
            (ruling.source_id, closer)
            for ruling in rulings
            if ruling.kind is RulingKind.KEEP_OPEN and ruling.revoked_at is None
            for closer in ruling.assertions
        }
        runs: list[list[Assertion]] = []
        closers: dict[int, Assertion] = {}
        for item in sorted(assertions, key=_order):
            run = next((r for r in reversed(runs) if _key(r[0]) == _key(item)), None)
            if run is not None and id(run) not in closers:
                run.append(item)
                continue
            for other in runs:
                blocked = any((source.id, item.id) in kept for source in other)
                if id(other) not in closers and not blocked and _ends(predicate, item, other[0]):
                    closers[id(other)] = item
            runs.append([item])
        return tuple(_stretch(run, closers.get(id(run))) for run in runs)


def _order(item: Assertion) -> tuple[datetime, datetime, str]:
    return (item.valid_at or _NEVER, item.stated_at, item.id)


def _key(item: Assertion) -> tuple[str | None, str | None, bool]:
    return (item.object_id, item.value and item.value.casefold(), item.negated)


def _ends(predicate: PredicateType, later: Assertion, earlier: Assertion) -> bool:
    if later.negated or earlier.negated:
        same = _key(later)[:2] == _key(earlier)[:2] or _key(later)[:2] == (None, None)
        return same and later.negated != earlier.negated
    return predicate.functional


def _stretch(run: list[Assertion], closer: Assertion | None = None) -> Stretch:
    first = run[0]
    ended = first.invalid_at if closer is None else closer.valid_at
    return Stretch(
        assertions=tuple(item.id for item in run),
        valid_at=first.valid_at,
        granularity=first.granularity,
        invalid_at=ended,
        invalid_granularity=first.invalid_granularity if closer is None else closer.granularity,
        closed_by=None if closer is None else closer.id,
        rule=None if closer is None else "newer",
        confidence=max(item.confidence for item in run),
    )
