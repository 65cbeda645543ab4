"""Which memories deserve parameters, and why: a score with named parts, and reasons against.

What is learnt can't be changed in place, so it should be what stays: not expiring, not
contradicted, settled, used. What is secret never goes into weights, which can be asked for it.
Knows no store.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from memos.types import LIVE, Kind, Memory, Scored

_KIND = {
    Kind.CORE: 1.0,
    Kind.SEMANTIC: 1.0,
    Kind.PROCEDURAL: 0.8,
    Kind.RESOURCE: 0.5,
    Kind.EPISODIC: 0.4,
}
_WEIGHTS = {
    "kind": 0.25,
    "settled": 0.2,
    "unchanged": 0.15,
    "used": 0.2,
    "told": 0.1,
    "priority": 0.1,
}
_SETTLED_DAYS = 30.0
_USES = 10.0
_FACTS = 3.0
PER_MEMORY = 5_000
"""Parameters that a memory is given room for. Weights can hold 2 bits each of what was read a
thousand times (Allen-Zhu and Li 2024, arXiv:2404.05405); a short training stays far below."""


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What is known of memories beside themselves, by id: how often their states were used, how
    many facts rest on them, and those that say what was taken back or closed since."""

    uses: Mapping[str, int]
    facts: Mapping[str, int]
    contradicted: Collection[str]


def scored(memories: Sequence[Memory], signs: Signs, now: datetime) -> list[Scored]:
    """Best first; those that may not be chosen come last, with the reason."""
    found = [_score(memory, signs, now) for memory in memories]
    return sorted(found, key=lambda one: (one.refused is not None, -one.score, one.memory_id))


def refused(memory: Memory, signs: Signs, now: datetime) -> str | None:
    """Why a memory may not go into weights; None if it may."""
    if memory.kind is Kind.VAULT:
        return "vault memories never go into weights"
    if memory.state not in LIVE:
        return f"it is {memory.state.value}"
    if memory.expires_at is not None:
        ended = memory.expires_at <= now
        return "it has expired" if ended else "it expires, and weights do not"
    if memory.id in signs.contradicted:
        return "a fact that it tells was closed or taken back"
    return None


def room(parameters: int) -> int:
    """Memories that so many parameters are for."""
    return max(1, parameters // PER_MEMORY)


def diverse(
    ranked: Sequence[Scored],
    vectors: Mapping[str, NDArray[np.float32]],
    count: int,
    *,
    weight: float,
) -> list[Scored]:
    """`count` of those that may be chosen, best first, each judged by its score less `weight` times
    its likeness to the nearest one chosen before (as RDS+ does, Ivison et al. 2025,
    arXiv:2503.01807, by what a model makes of the texts). `vectors` are unit vectors."""
    left = [one for one in ranked if one.refused is None]
    if weight <= 0 or not left:
        return left[:count]
    chosen: list[Scored] = []
    nearest = dict.fromkeys((one.memory_id for one in left), 0.0)
    while left and len(chosen) < count:
        best = max(left, key=lambda one: one.score - weight * nearest[one.memory_id])
        chosen.append(best)
        left.remove(best)
        for one in left:
            like = float(vectors[one.memory_id] @ vectors[best.memory_id])
            nearest[one.memory_id] = max(nearest[one.memory_id], like)
    return chosen


def _score(memory: Memory, signs: Signs, now: datetime) -> Scored:
    days = max(0.0, (now - memory.updated_at).total_seconds() / 86_400)
    parts = {
        "kind": _KIND.get(memory.kind, 0.0),
        "settled": days / (days + _SETTLED_DAYS),
        "unchanged": 1.0 / memory.version,
        "used": _saturating(signs.uses.get(memory.id, 0), _USES),
        "told": _saturating(signs.facts.get(memory.id, 0), _FACTS),
        "priority": memory.priority,
    }
    score = sum(_WEIGHTS[name] * value for name, value in parts.items())
    return Scored(
        memory_id=memory.id,
        score=round(score, 6),
        parts={name: round(value, 6) for name, value in parts.items()},
        refused=refused(memory, signs, now),
    )


def _saturating(count: int, half: float) -> float:
    return count / (count + half)
