"""Rules by which memories go on in their lives by themselves: by age, and by their own time.

Pure: from a memory, the moment it was last touched, and a rule follows which verb is due.
"""

from __future__ import annotations

import math
from datetime import datetime
from itertools import pairwise
from typing import Any

from memos.errors import InvalidInput, PolicyContradiction
from memos.types import LifecycleRule, Memory, State

_SPANS = ("archive_after", "expire_after", "erase_after")
_DAY = 86400.0
_MOST_DAYS = 36500.0


def check_rule(rule: LifecycleRule) -> None:
    """InvalidInput for a span that is none; PolicyContradiction for spans that don't grow."""
    given = [(name, getattr(rule, name)) for name in _SPANS if getattr(rule, name) is not None]
    for name, days in given:
        sane = type(days) in (int, float) and math.isfinite(days) and 0 < days <= _MOST_DAYS
        if not sane:
            raise InvalidInput(
                f"{name} is {days!r}; give days, more than 0 and at most {_MOST_DAYS:g}, or leave "
                "it out",
                field=name,
            )
    for (name, days), (later, more) in pairwise(given):
        if more <= days:
            raise PolicyContradiction(
                f"{later} is {more:g} days and {name} {days:g}: {later} must be the longer one, "
                f"else no memory would ever wait for {name}",
                field=later,
            )


def due_step(
    memory: Memory, touched: datetime, rule: LifecycleRule | None, *, now: datetime
) -> tuple[str, str, dict[str, Any]] | None:
    """The verb that is due, why, and by which numbers; None while it may stay as it is.

    `touched` is when it was added, changed or brought back. A clock that went backwards makes ages
    negative, so nothing is due.
    """
    if memory.state in (State.ACTIVATED, State.ARCHIVED) and _over(memory, now):
        late = (now - memory.expires_at).total_seconds() if memory.expires_at else 0.0
        return "expire", "its own time is over", {"late_seconds": round(late, 3)}
    if rule is None:
        return None
    age = (now - touched).total_seconds() / _DAY
    for verb, state in _NEXT:
        after = getattr(rule, f"{verb}_after")
        if memory.state in state and after is not None and age >= after:
            numbers = {"age_days": round(age, 3), f"{verb}_after": after}
            return verb, f"the rule for {memory.kind.value} memories", numbers
    return None


_NEXT = (
    ("erase", {State.EXPIRED}),
    ("expire", {State.ACTIVATED, State.ARCHIVED}),
    ("archive", {State.ACTIVATED}),
)
"""The furthest first: what is long overdue need not be archived before it expires."""


def _over(memory: Memory, now: datetime) -> bool:
    return memory.expires_at is not None and memory.expires_at <= now
