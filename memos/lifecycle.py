"""The lifecycle of a memory as one table of allowed steps.

Knows no storage: callers ask whether a step is allowed, and record it themselves.
"""

from __future__ import annotations

from memos.errors import StateConflict
from memos.types import State

STEPS: dict[State, frozenset[State]] = {
    State.GENERATED: frozenset({State.ACTIVATED, State.ARCHIVED, State.ERASED}),
    State.ACTIVATED: frozenset(
        {State.ACTIVATED, State.MERGED, State.ARCHIVED, State.FROZEN, State.EXPIRED, State.ERASED}
    ),
    State.MERGED: frozenset({State.ACTIVATED, State.ARCHIVED, State.ERASED}),
    State.ARCHIVED: frozenset({State.ACTIVATED, State.EXPIRED, State.ERASED}),
    State.FROZEN: frozenset({State.ACTIVATED, State.ERASED}),
    State.EXPIRED: frozenset({State.ACTIVATED, State.ERASED}),
    State.ERASED: frozenset(),
}
"""From each state, the states one step away. A step to itself is a change of content."""


def check_step(memory_id: str, now: State, then: State) -> None:
    """StateConflict if the lifecycle has no step from `now` to `then`."""
    if then in STEPS[now]:
        return
    allowed = ", ".join(sorted(s.value for s in STEPS[now])) or "nothing"
    raise StateConflict(
        f"memory {memory_id} is {now.value} and can't become {then.value}; "
        f"from there it can become {allowed}",
        memory_id=memory_id,
        state=now.value,
    )
