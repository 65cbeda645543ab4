"""The plan of a sweep: what is archived because it has faded, or evicted for a budget, and why.

Pinned memories never go, nor do those of kinds that do not decay (core, vault); frozen ones are not
even looked at. When what is archived expires and is erased, lifecycle rules say. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from memos.forgetting import rules
from memos.forgetting.strength import strength
from memos.protocols import Clock, Deed, Held, KeepingStore, Move
from memos.types import ActionKind, Cube, PlannedAction, Policy, State

_PAGE = 2000


@dataclass(frozen=True, slots=True)
class Sweep:
    """Bytes are of live memories."""

    looked_at: int
    bytes_before: int
    bytes_after: int
    deeds: tuple[Deed, ...]
    texts: dict[str, str]


class Sweeper:
    def __init__(self, store: KeepingStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def plan(self, cube: Cube, policy: Policy, *, beat: Callable[[], None] = lambda: None) -> Sweep:
        """PolicyContradiction if a budget is below what must never go."""
        now = self._clock()
        live = list(self._every(cube, State.ACTIVATED, beat))
        total = sum(item.bytes for item in live)
        fixed = [item for item in live if not _may_go(item, policy)]
        rules.check_budget(
            policy, pinned=len(fixed), pinned_bytes=sum(item.bytes for item in fixed)
        )
        deeds = _faded(live, policy, now)
        gone = {deed.about for deed in deeds}
        deeds += _evicted([item for item in live if item.memory.id not in gone], policy, now)
        gone = {deed.about for deed in deeds}
        texts = {item.memory.id: item.memory.content for item in live if item.memory.id in gone}
        return Sweep(
            looked_at=len(live),
            bytes_before=total,
            bytes_after=total - sum(item.bytes for item in live if item.memory.id in gone),
            deeds=tuple(deeds),
            texts=texts,
        )

    def _every(self, cube: Cube, state: State, beat: Callable[[], None]) -> Iterator[Held]:
        after = 0
        while rows := self._store.held(cube.id, after=after, limit=_PAGE, states=(state,)):
            after = rows[-1].memory.position
            yield from rows
            beat()


def shown(sweep: Sweep, limit: int) -> tuple[PlannedAction, ...]:
    """The first actions in words, with the texts that they are about."""
    return tuple(
        PlannedAction(
            kind=deed.kind,
            reason=deed.reason,
            numbers=deed.numbers,
            memory_ids=(deed.about,),
            text=sweep.texts[deed.about],
        )
        for deed in sweep.deeds[:limit]
    )


def _may_go(item: Held, policy: Policy) -> bool:
    return not item.use.pinned and policy.half_life_days.get(item.memory.kind) is not None


def _faded(live: Sequence[Held], policy: Policy, now: datetime) -> list[Deed]:
    if policy.archive_below is None:
        return []
    deeds = []
    for item in live:
        if not _may_go(item, policy):
            continue
        held = strength(item.memory, item.use, policy, now=now)
        if held.strength < policy.archive_below:
            numbers = {
                "strength": round(held.strength, 6),
                "importance": round(held.importance, 6),
                "retention": round(held.retention, 6),
                "uses": held.uses,
            }
            reason = f"its strength is {held.strength:.3f}, below {policy.archive_below:g}"
            deeds.append(_deed(ActionKind.ARCHIVE, item, reason, numbers))
    return deeds


def _evicted(live: Sequence[Held], policy: Policy, now: datetime) -> list[Deed]:
    """The least strength per byte goes first, until the budgets hold (greedy by density, as
    Cao and Irani's GreedyDual-Size, "Cost-Aware WWW Proxy Caching Algorithms", USITS 1997)."""
    count, size = len(live), sum(item.bytes for item in live)
    most_bytes, most = policy.max_bytes, policy.max_memories
    if (most_bytes is None or size <= most_bytes) and (most is None or count <= most):
        return []
    worth = {
        item.memory.id: strength(item.memory, item.use, policy, now=now).strength
        / max(1, item.bytes)
        for item in live
    }
    deeds = []
    for item in sorted(live, key=lambda i: (worth[i.memory.id], i.memory.position)):
        if (most_bytes is None or size <= most_bytes) and (most is None or count <= most):
            break
        if not _may_go(item, policy):
            continue
        size, count = size - item.bytes, count - 1
        numbers = {
            "strength_per_kilobyte": round(1000 * worth[item.memory.id], 6),
            "bytes": item.bytes,
        }
        reason = "the cube is over its budget, and this is worth least per byte"
        deeds.append(_deed(ActionKind.EVICT, item, reason, numbers))
    return deeds


def _deed(
    kind: ActionKind,
    item: Held,
    reason: str,
    numbers: dict[str, float],
) -> Deed:
    move = Move(item.memory.id, item.memory.version, State.ARCHIVED)
    return Deed(kind, item.memory.id, reason, numbers, moves=(move,))
