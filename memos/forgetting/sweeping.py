"""The plan of a sweep: what is archived because it has faded, or evicted for a budget, and why.

Pinned and frozen memories never go, nor do those of kinds that do not decay (core, vault). When
what is archived expires and is erased, lifecycle rules say. Changes nothing.
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
_TOGETHER = 100
"""Vectors that are made small by one action."""


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

    def plan(
        self, cube: Cube, policy: Policy, *, beat: Callable[[], object] = lambda: None
    ) -> Sweep:
        """PolicyContradiction if a budget is below what must never go."""
        now = self._clock()
        live = list(self._every(cube, beat))
        total = sum(item.bytes for item in live)
        fixed = [item for item in live if not _may_go(item, policy)]
        rules.check_budget(
            policy, pinned=len(fixed), pinned_bytes=sum(item.bytes for item in fixed)
        )
        deeds = _faded(live, policy, now)
        gone = {deed.about for deed in deeds}
        left = [item for item in live if item.memory.id not in gone]
        more, saved = _evicted(left, policy, now)
        deeds += more
        gone = {move.memory_id for deed in deeds for move in deed.moves}
        told = gone | {deed.about for deed in deeds}
        texts = {item.memory.id: item.memory.content for item in live if item.memory.id in told}
        return Sweep(
            looked_at=len(live),
            bytes_before=total,
            bytes_after=total - saved - sum(i.bytes for i in live if i.memory.id in gone),
            deeds=tuple(deeds),
            texts=texts,
        )

    def _every(self, cube: Cube, beat: Callable[[], object]) -> Iterator[Held]:
        after = 0
        while rows := self._store.held(cube.id, after=after, limit=_PAGE):
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
            memory_ids=deed.shrunk or (deed.about,),
            text=sweep.texts[deed.about],
        )
        for deed in sweep.deeds[:limit]
    )


def _may_go(item: Held, policy: Policy) -> bool:
    return not item.fixed and policy.half_life_days.get(item.memory.kind) is not None


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


def _evicted(live: Sequence[Held], policy: Policy, now: datetime) -> tuple[list[Deed], int]:
    """The least strength per byte goes first, until the budgets hold (greedy by density, as
    Cao and Irani's GreedyDual-Size, "Cost-Aware WWW Proxy Caching Algorithms", USITS 1997).

    In two degrees: first the vectors of the weakest are made small, which costs next to nothing of
    what a search finds; only if all are small and that is not enough, memories are archived. Gives
    the bytes saved by the first.
    """
    count, size = len(live), sum(item.bytes for item in live)
    most_bytes, most = policy.max_bytes, policy.max_memories
    if (most_bytes is None or size <= most_bytes) and (most is None or count <= most):
        return [], 0

    def density(item: Held) -> float:
        return strength(item.memory, item.use, policy, now=now).strength / max(1, item.bytes)

    worth = {item.memory.id: density(item) for item in live}
    order = sorted(live, key=lambda i: (worth[i.memory.id], i.memory.position))
    shrunk: dict[str, int] = {}
    for item in order if most_bytes is not None else ():
        if size <= (most_bytes or 0):
            break
        saved = item.vector_bytes - _small(item)
        if saved > 0:
            shrunk[item.memory.id] = saved
            size -= saved
    deeds = []
    for item in order:
        if (most_bytes is None or size <= most_bytes) and (most is None or count <= most):
            break
        if not _may_go(item, policy):
            continue
        left = item.bytes - shrunk.pop(item.memory.id, 0)
        size, count = size - left, count - 1
        numbers = {
            "strength_per_kilobyte": round(1000 * worth[item.memory.id], 6),
            "bytes": item.bytes,
        }
        reason = "the cube is over its budget, and this is worth least per byte"
        deeds.append(_deed(ActionKind.EVICT, item, reason, numbers))
    return _shrinking(shrunk) + deeds, sum(shrunk.values())


def _small(item: Held) -> int:
    """Bytes of a vector that was made small."""
    if item.vector is None or len(item.vector) % 4 or item.vector_bytes != 4 * len(item.vector):
        return item.vector_bytes
    return len(item.vector) + 5


def _shrinking(saved: dict[str, int]) -> list[Deed]:
    ids = list(saved)
    reason = "the cube is over its budget; their vectors are kept with one byte per component"
    deeds = []
    for start in range(0, len(ids), _TOGETHER):
        part = tuple(ids[start : start + _TOGETHER])
        numbers = {"memories": len(part), "bytes_saved": sum(saved[id] for id in part)}
        deeds.append(Deed(ActionKind.SHRINK, part[0], reason, numbers, shrunk=part))
    return deeds


def _deed(
    kind: ActionKind,
    item: Held,
    reason: str,
    numbers: dict[str, float],
) -> Deed:
    move = Move(item.memory.id, item.memory.version, State.ARCHIVED)
    return Deed(kind, item.memory.id, reason, numbers, moves=(move,))
