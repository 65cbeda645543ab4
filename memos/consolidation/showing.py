"""The plan of a consolidation in words: what would be done, why, and by which numbers."""

from __future__ import annotations

from collections.abc import Mapping

from memos.consolidation.planning import Consolidation
from memos.consolidation.recurrence import Recurring
from memos.types import ActionKind, PlannedAction


def shown(plan: Consolidation, limit: int) -> tuple[PlannedAction, ...]:
    """The first actions in words, with the texts that they are about."""
    texts = {item.memory.id: item.memory.content for item in plan.held}
    items = []
    for deed in plan.deeds[:limit]:
        ids = tuple(move.memory_id for move in deed.moves)
        items.append(
            PlannedAction(
                kind=deed.kind,
                reason=deed.reason,
                numbers=deed.numbers,
                memory_ids=(deed.about, *ids),
                text=texts[deed.about],
                of=tuple(texts[id] for id in ids),
            )
        )
    for one in plan.made[: max(0, limit - len(items))]:
        members = [plan.held[row].memory for row in one.rows]
        items.append(
            PlannedAction(
                kind=one.action,
                reason=reason_of(one),
                numbers=numbers_of(one),
                memory_ids=tuple(memory.id for memory in members),
                text=one.text,
                of=tuple(memory.content for memory in members),
            )
        )
    return tuple(items)


def reason_of(one: Recurring) -> str:
    """Why a memory is made of these."""
    if one.again:
        return "made again of what goes on"
    what = {
        ActionKind.PROCEDURE: "an instruction or correction",
        ActionKind.CORE: "a preference",
        ActionKind.GENERALISE: "a topic",
    }[one.action]
    days = f", on {one.days} days" if one.days > 1 else ""
    return f"{what} that came up {one.times} times{days}"


def numbers_of(one: Recurring) -> Mapping[str, float]:
    return {"times": one.times, "days": one.days, "least_cosine": round(one.cosine, 4)}
