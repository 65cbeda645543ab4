"""One line that says who a memory is of, when, and about what, so that it can be read by itself.

The line of a memory's own note holds nothing of other memories. What a line takes from another one
is in a revision of which that one is the cause, so that it can go with it: see `evolution`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from memos.retrieval.reading.analysis import text_of
from memos.types import Memory

_MONTHS = """
    January February March April May June July August September October November December
"""
_CLIP = 90
_ABOUT = 4
THIN = 3
"""A memory with fewer keywords than these is hard to read without the turn before."""


def context_of(memory: Memory, keywords: Sequence[str]) -> str:
    """Such as "Anna on 8 May 2023, in Bern: about pottery class, blue bowl"."""
    who = [part for part in (memory.speaker, f"on {day(told_at(memory))}") if part]
    head = " ".join(who)
    if memory.place:
        head += f", in {memory.place}"
    if keywords:
        return f"{head}: about {', '.join(keywords[:_ABOUT])}"
    return f"{head}: {quoted(text_of(memory))}"


def replied(context: str, previous: Memory) -> str:
    """The line of a turn that means little without the one before."""
    text = text_of(previous)
    verb = "asked" if text.rstrip().endswith("?") else "said"
    return f"{context}; after {previous.speaker or 'somebody'} {verb} {quoted(text, end=True)}"


def returned(context: str, later: Memory, keywords: Sequence[str], relation: str) -> str:
    """The line of a memory to whose subject a later one returned."""
    verb = {"contradicts": "said otherwise", "repeats": "said so again"}.get(
        relation, "came back to it"
    )
    line = f"{context}; {later.speaker or 'somebody'} {verb} on {day(told_at(later))}"
    return f"{line}: {', '.join(keywords[:_ABOUT])}" if keywords else line


def told_at(memory: Memory) -> datetime:
    return memory.occurred_at or memory.created_at


def day(at: datetime) -> str:
    """In UTC and English whatever the machine speaks."""
    at = at.astimezone(timezone.utc)
    return f"{at.day} {_MONTHS.split()[at.month - 1]} {at.year}"


def quoted(text: str, *, end: bool = False) -> str:
    """The text in quotation marks, cut at a word to its beginning, or its `end`: what is answered
    stands last."""
    text = " ".join(text.split())
    if len(text) > _CLIP:
        if end:
            cut = text[-_CLIP:]
            text = "…" + cut[cut.find(" ") + 1 :]
        else:
            cut = text[:_CLIP]
            text = (cut[: cut.rfind(" ")] if " " in cut else cut) + "…"
    return f"“{text}”"
