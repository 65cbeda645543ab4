"""Instructions, corrections and preferences in what somebody says. Rules for English; pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memos.types import Memory

_INSTRUCTION = re.compile(
    r"(?:^|[.!?]\s+)(?:please\s+)?(?:always|never|from now on|in future|in the future|going forward"
    r"|next time|whenever|remember to|make sure|be sure to|don'?t|do not|stop|avoid"
    r"|use|call me|address me|answer|reply|write|keep)\b",
    re.IGNORECASE,
)
_CORRECTION = re.compile(
    r"\b(?:no,|that'?s (?:wrong|not right|not what)|i (?:told|asked) you|i said|as i said before"
    r"|not like that|again, (?:please )?|i meant)\b",
    re.IGNORECASE,
)
_PREFERENCE = re.compile(
    r"\bi(?:'m| am)?\s+(?:(?:really|always|still|absolutely|just)\s+)*"
    r"(?:like|love|enjoy|prefer|hate|dislike|can'?t stand|adore|allergic|vegetarian|vegan"
    r"|a (?:fan|big fan) of)\b|\bmy favou?rite\b|\bi (?:don'?t|do not) (?:like|eat|drink)\b",
    re.IGNORECASE,
)


def is_instruction(memory: Memory) -> bool:
    """Whether it tells an agent how to do things, or corrects how it did them."""
    text = memory.content
    return (
        len(text) < 300
        and not text.rstrip().endswith("?")
        and bool(_INSTRUCTION.search(text) or _CORRECTION.search(text))
    )


def is_preference(memory: Memory) -> bool:
    """Whether somebody says what they like, can't stand, or must not have."""
    text = memory.content
    return len(text) < 300 and not text.rstrip().endswith("?") and bool(_PREFERENCE.search(text))
