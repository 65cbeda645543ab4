"""From mid-term to long-term memory: which segments are hot enough, and what is made of them.

As in MemoryOS (arXiv 2506.06326) a segment whose heat passes a threshold goes on: into the user's
profile if it tells what somebody likes or can't have, else into what is known. Its turns stay where
they are; what is made quotes them. Pure; knows no store.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.consolidation.recurrence import attributed, composed, is_preference
from memos.summaries.extractive import sentence
from memos.types import ActionKind, Kind, Memory, Segment

if TYPE_CHECKING:
    from memos.protocols import Vector

_FEWEST = 3
"""Turns that a segment has at least, to be made something of."""
_PROFILE_SHARE = 0.5
"""Of the turns; if so many are preferences, it is the profile that they belong to."""
_QUOTED = 5
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


def text_of_segment(kind: Kind, turns: Sequence[Memory], vectors: Vector) -> str:
    """Quotes of `turns`; `vectors` (n, dimensions) are theirs."""
    if kind is not Kind.CORE:
        return composed(ActionKind.GENERALISE, turns, vectors)
    liked = [memory for memory in turns if is_preference(memory)][-_QUOTED:]
    lines = dict.fromkeys(sentence(memory.content) for memory in liked)
    return attributed(liked[0], " … ".join(lines))
