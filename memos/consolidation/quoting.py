"""The words of a memory that is made of others: quotes of them, and nothing added. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memos.consolidation.wants import is_preference
from memos.retrieval.reading.telling import telling
from memos.summaries.extractive import central, sentence
from memos.types import ActionKind, Kind, Memory

if TYPE_CHECKING:
    from memos.protocols import Vector

_QUOTED = 3
"""Sentences of a topic."""
_LIKED = 5
"""Preferences of a segment."""


def quoted(action: ActionKind, kind: Kind, members: Sequence[Memory], vectors: Vector) -> str:
    """The text of a memory of `kind` that an action makes of `members`, in order of arrival;
    `vectors` (n, dimensions) are theirs.

    An instruction or a preference as it was put last; of a topic the sentences that say most of it,
    with the days; of a segment that goes into the profile what somebody likes or can't have.
    """
    if action is ActionKind.PROMOTE and kind is Kind.CORE:
        return _profile(members)
    if action in (ActionKind.PROCEDURE, ActionKind.CORE):
        newest = max(members, key=lambda m: (m.occurred_at or m.created_at, m.position))
        return attributed(newest, " ".join(newest.content.split()))
    weights: NDArray[np.float64] = np.array(
        [1.0 + telling(m.content, None).told for m in members], np.float64
    )
    best = np.argsort(-central(vectors, weights), kind="stable")[:_QUOTED]
    lines = list(dict.fromkeys(sentence(members[i].content) for i in sorted(best.tolist())))
    return attributed(members[0], f"{_span(members)}: {' … '.join(lines)}")


def _profile(members: Sequence[Memory]) -> str:
    liked = [memory for memory in members if is_preference(memory)][-_LIKED:] or members[-1:]
    lines = dict.fromkeys(sentence(memory.content) for memory in liked)
    return attributed(liked[0], " … ".join(lines))


def attributed(memory: Memory, text: str) -> str:
    return f"{memory.speaker}: {text}" if memory.speaker else text


def _span(members: Sequence[Memory]) -> str:
    days = sorted(day_of(memory) for memory in members)
    said = f"{days[0].isoformat()} to {days[-1].isoformat()}"
    return days[0].isoformat() if days[0] == days[-1] else said


def day_of(memory: Memory) -> date:
    at: datetime = memory.occurred_at or memory.created_at
    return at.astimezone(timezone.utc).date()
