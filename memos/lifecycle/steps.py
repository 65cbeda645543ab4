"""The lifecycle of a memory as one table of verbs, and the steps that follow from it.

                 ┌───────────── restore ──────────────┐
    generated ─ activate ─► activated ── archive ─► archived ── expire ─► expired
                          ▲  │  ▲  │                                        │
                       thaw  │  │  └─ merge ─► merged ─┐                    │
                          │ freeze └──── restore ──────┘                    │
                          frozen                        any state ─ erase ─►erased

A frozen memory stays as it is, and where it is: searches find it, what it says counts, and it is
neither changed nor archived, merged or expired until somebody thaws it, which no rule does. Erased
is the end. Knows no storage: callers ask whether a step is allowed, and record it themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from memos.errors import StateConflict
from memos.types import Memory, State


@dataclass(frozen=True, slots=True)
class Verb:
    """What leads from one of the states `since` to `to`; `automatic`: a rule may do it too."""

    since: frozenset[State]
    to: State
    automatic: bool = True


_ALL = frozenset(State) - {State.ERASED}

VERBS: dict[str, Verb] = {
    "activate": Verb(frozenset({State.GENERATED}), State.ACTIVATED),
    "update": Verb(frozenset({State.ACTIVATED}), State.ACTIVATED),
    "merge": Verb(frozenset({State.ACTIVATED}), State.MERGED),
    "archive": Verb(frozenset({State.GENERATED, State.ACTIVATED, State.MERGED}), State.ARCHIVED),
    "expire": Verb(frozenset({State.ACTIVATED, State.ARCHIVED}), State.EXPIRED),
    "restore": Verb(frozenset({State.MERGED, State.ARCHIVED, State.EXPIRED}), State.ACTIVATED),
    "freeze": Verb(frozenset({State.ACTIVATED}), State.FROZEN, automatic=False),
    "thaw": Verb(frozenset({State.FROZEN}), State.ACTIVATED, automatic=False),
    "erase": Verb(_ALL, State.ERASED),
}
"""By name; the history has the same names as its operations."""

STEPS: dict[State, frozenset[State]] = {
    state: frozenset(verb.to for verb in VERBS.values() if state in verb.since) for state in State
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


def check_verb(memory: Memory, name: str, *, automatic: bool = False) -> State:
    """The state that a verb leads to. StateConflict if it does not start from the memory's state,
    or is only for people, or the memory is frozen and a rule asks."""
    verb = VERBS[name]
    if automatic and (not verb.automatic or memory.state is State.FROZEN):
        raise StateConflict(
            f"memory {memory.id} is {memory.state.value}; only a person may {name} it",
            memory_id=memory.id,
            state=memory.state.value,
        )
    if memory.state in verb.since:
        return verb.to
    allowed = [other for other, known in VERBS.items() if memory.state in known.since]
    raise StateConflict(
        f"memory {memory.id} is {memory.state.value}; there is nothing to {name}. From there one "
        f"can {', '.join(allowed) or 'do nothing'}",
        memory_id=memory.id,
        state=memory.state.value,
    )


def check_way_back(memory: Memory, past: Memory) -> None:
    """A rollback leads to any state that a memory has had, but not out of frozen, which is thawed
    first, nor from erased. StateConflict otherwise."""
    if memory.state in (State.FROZEN, State.ERASED):
        can = "; thaw it first" if memory.state is State.FROZEN else ""
        raise StateConflict(
            f"memory {memory.id} is {memory.state.value} and stays as it is{can}",
            memory_id=memory.id,
            state=memory.state.value,
        )
    if past.state is State.FROZEN:
        raise StateConflict(
            f"version {past.version} of memory {memory.id} was frozen; roll back to the one before "
            "it, which is the same, and freeze that",
            memory_id=memory.id,
            state=memory.state.value,
        )
