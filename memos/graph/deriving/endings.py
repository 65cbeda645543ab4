"""By which rules facts end, and how sure the assertions make them that they rest on.

What the derivation from all assertions and the extension by later ones have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from memos.types import Assertion

SUPERSEDED = "superseded"
"""Another object took its place; the predicate has one at a time."""
NEGATED = "negated"
"""It was denied."""
AFFIRMED = "affirmed"
"""A denial, ended by what it denied."""
ENDED = "ended"
"""Its own source says when it ended."""


def confidence(said: Sequence[Assertion]) -> float:
    """That not all memories err which say so, taken as independent (noisy or)."""
    if len(said) == 1:
        return said[0].confidence
    surest: dict[str, float] = {}
    for one in said:
        surest[one.memory_id] = max(surest.get(one.memory_id, 0.0), one.confidence)
    return round(1.0 - prod(1.0 - value for value in sorted(surest.values())), 6)
