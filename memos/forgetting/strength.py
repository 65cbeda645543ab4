"""How strongly a memory is held: importance × retention.

Retention falls by half with each half-life since the last use, and each use makes the half-life
longer: p = 2^(-Δ/h), the exponential forgetting curve (Ebbinghaus, 1885) in the form of half-life
regression (Settles and Meeder, "A Trainable Spaced Repetition Model for Language Learning", ACL
2016), where log2 h is linear in the root of the number of recalls. The half-lives by kind are a
policy's, not fitted. Nothing is stored that decays: a strength is computed from timestamps when it
is asked for.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from memos.protocols import Use
from memos.retrieval.reading.telling import telling
from memos.types import Memory, Policy, Strength

_DAY = timedelta(days=1)
_LONGER = 1.0
"""How much one root of recalls adds to log2 of the half-life."""
_MOST_DOUBLINGS = 6.0
_TOLD = 160.0
"""Characters of assertions from which a text tells as much as it can."""


def strength(memory: Memory, use: Use, policy: Policy, *, now: datetime) -> Strength:
    """Of a memory as it is at `now`; a clock that went back counts as no time passed."""
    last = max(memory.created_at, use.last_used_at or memory.created_at)
    half_life = half_life_days(memory, use, policy)
    idle = max(0.0, (now - last) / _DAY)
    kept = 1.0 if half_life is None or use.pinned else 2.0 ** (-idle / half_life)
    weight = importance(memory)
    return Strength(
        memory_id=memory.id,
        strength=weight * kept,
        importance=weight,
        retention=kept,
        half_life_days=half_life,
        uses=use.uses,
        last_used_at=last,
        pinned=use.pinned,
    )


def half_life_days(memory: Memory, use: Use, policy: Policy) -> float | None:
    """None: it does not decay."""
    base = policy.half_life_days.get(memory.kind)
    if base is None:
        return None
    doublings = min(_MOST_DOUBLINGS, _LONGER * (math.sqrt(1 + use.uses) - 1))
    return float(base * 2.0**doublings)


def importance(memory: Memory) -> float:
    """In [0, 1]: the priority it was given, less for a text that asserts little.

    Talk that greets, thanks and asks is worth a quarter of what asserts at length.
    """
    found = telling(memory.content, None)
    captions = sum(len(image.caption or "") for image in memory.images)
    told = min(1.0, (found.told + captions + 20 * found.names) / _TOLD)
    return min(1.0, max(0.0, memory.priority * (0.25 + 0.75 * math.sqrt(told))))
