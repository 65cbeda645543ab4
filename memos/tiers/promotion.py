"""From mid-term to long-term memory: which segments are hot enough, and what is made of them.

As in MemoryOS (arXiv 2506.06326) a segment whose heat passes a threshold goes on: into the user's
profile if it tells what somebody likes or can't have, else into what is known. Its turns stay where
they are; what is made quotes them. Pure; knows no store.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from memos.consolidation.wants import is_preference
from memos.types import LIVE, Kind, Memory, Segment

_FEWEST = 3
"""Turns that a segment has at least, to be made something of."""
_PROFILE_SHARE = 0.5
"""Of the turns; if so many are preferences, it is the profile that they belong to."""
_ENOUGH = 0.5
"""A segment so much of which was promoted before is not promoted again."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A memory of `kind` to be made of a segment, with its text and why."""

    segment: Segment
    kind: Kind
    text: str
    threshold: float

    @property
    def reason(self) -> str:
        where = "the profile" if self.kind is Kind.CORE else "what is known"
        return (
            f"a segment of {len(self.segment.memories)} turns is hot: {self.segment.heat:.2f}, of "
            f"{self.threshold:g} that lead to {where}"
        )

    @property
    def numbers(self) -> dict[str, float]:
        return {
            "heat": round(self.segment.heat, 4),
            "promote_heat": self.threshold,
            "visits": self.segment.visits,
            "turns": len(self.segment.memories),
        }


def standing(segment: Segment) -> Segment:
    """The segment without turns that another memory stands for by now, or that are archived: what
    has ended must not come back as what is known."""
    left = tuple(memory for memory in segment.memories if memory.state in LIVE)
    return replace(segment, memories=left)


def is_hot(segment: Segment, threshold: float, promoted: Collection[str]) -> bool:
    """Whether it passes; `promoted` are ids of turns that were promoted before."""
    turns = segment.memories
    before = sum(memory.id in promoted for memory in turns)
    return len(turns) >= _FEWEST and segment.heat >= threshold and before < _ENOUGH * len(turns)


def kind_of(turns: Sequence[Memory]) -> Kind:
    """Profile for one person's preferences, else semantic memory."""
    liked = [memory for memory in turns if is_preference(memory)]
    one = len({memory.speaker for memory in liked}) == 1
    enough = len(liked) >= max(2, _PROFILE_SHARE * len(turns))
    return Kind.CORE if one and enough else Kind.SEMANTIC
