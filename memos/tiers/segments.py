"""Sessions cut into segments by topic, and how hot each is: mid-term memory.

A boundary is where the turns before and after are least alike, as in TextTiling (Hearst, 1997), by
vectors instead of words. Heat is visits, length and recency, each by its weight, as MemoryOS has it
(Kang et al., "Memory OS of AI Agent", arXiv 2506.06326). Nothing of it is stored: segments follow
from the turns, visits from the counts of use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from memos.protocols import Use
from memos.types import Memory, Segment

if TYPE_CHECKING:
    from memos.protocols import Vector

SHORTEST, LONGEST = 3, 16
"""Turns of a segment, but for what is left over at the end of a session."""
VISITS, LENGTH, RECENCY = 1.0, 1.0, 1.0
"""Weights of the parts of heat, each of which is about 1 for a hot segment."""
_MANY_VISITS = 8
_RECENT = timedelta(days=7)
_SIDE = 2
"""Turns on either side that are compared."""


def boundaries(vectors: Vector) -> list[int]:
    """Where segments of n turns begin, 0 first; `vectors` (n, dimensions), zeros for none."""
    count = len(vectors)
    if count <= SHORTEST:
        return [0] if count else []
    alike = np.array([_alike(vectors, gap) for gap in range(1, count)])
    deep = float(alike.mean() - alike.std() / 2)
    starts = [0]
    for gap in range(1, count):
        length = gap - starts[-1]
        dip = alike[gap - 1] < deep and alike[gap - 1] == alike[max(0, gap - 2) : gap + 1].min()
        if length >= LONGEST or (length >= SHORTEST and dip and count - gap >= SHORTEST):
            starts.append(gap)
    return starts


def _alike(vectors: Vector, gap: int) -> float:
    """Cosine of the sums on both sides of a gap."""
    before = vectors[max(0, gap - _SIDE) : gap].sum(axis=0)
    after = vectors[gap : gap + _SIDE].sum(axis=0)
    norm = float(np.linalg.norm(before) * np.linalg.norm(after))
    return float(before @ after) / norm if norm else 0.0


def segments(
    turns: Sequence[Memory], vectors: Vector, uses: Mapping[str, Use], *, now: datetime
) -> list[Segment]:
    """Of the turns of one session in their order."""
    starts = boundaries(vectors)
    found = []
    for start, end in zip(starts, [*starts[1:], len(turns)], strict=True):
        part = tuple(turns[start:end])
        visits = sum(uses[m.id].uses for m in part if m.id in uses)
        found.append(
            Segment(
                session_id=part[0].session_id or "",
                user_id=part[0].user_id,
                memories=part,
                visits=visits,
                heat=heat(part, visits, uses, now=now),
            )
        )
    return found


def heat(turns: Sequence[Memory], visits: int, uses: Mapping[str, Use], *, now: datetime) -> float:
    """Grows with visits and length, falls with the time since it was last spoken or asked for."""
    times = [memory.occurred_at or memory.created_at for memory in turns]
    times += [use.last_used_at for m in turns if (use := uses.get(m.id)) and use.last_used_at]
    idle = max(0.0, (now - max(times)) / _RECENT)
    return (
        VISITS * math.log1p(visits) / math.log1p(_MANY_VISITS)
        + LENGTH * min(1.0, len(turns) / LONGEST)
        + RECENCY * math.exp(-idle)
    )
