"""How a memory changes the notes of others, and how that is undone.

A revision says what the memory itself gives and what exactly one other, its `cause`, adds to it; a
later cause takes the place of the former. So whatever a cause brought goes with it: nothing of it
is left in revisions of other causes. Undoing brings back the revision before as one more revision.
Knows notes; no store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from memos.types import Note

EVOLVES = 0.5
"""A memory changes the notes of those that are at least so near."""
MOST = 2
"""Notes that one memory changes."""

METHOD = "evolved-1"
UNDONE = "undone"
WITHDRAWN = "withdrawn"


def own(history: Sequence[Note]) -> Note | None:
    """The newest revision that owes nothing to another memory; None without history."""
    return next((note for note in reversed(history) if note.cause is None), None)


def caused(note: Note, cause: str, *, tags: Sequence[str], context: str, at: datetime) -> Note:
    """The next revision of a note after its own revision `note`, by `cause`."""
    more = [tag for tag in tags if tag not in note.tags]
    return replace(
        note,
        tags=(*note.tags, *more),
        context=context,
        method=METHOD,
        cause=cause,
        created_at=at,
        expired_at=None,
    )


def former(
    history: Sequence[Note], counts: Callable[[str], bool] = lambda cause: True
) -> Note | None:
    """What the present note was before its last change; None if there is nothing before.

    A revision that brings back an earlier one counts as the undoing it is, so that undoing again
    goes further back, not forth. Revisions of causes for which `counts` is False are passed over.
    """
    stack: list[Note] = []
    for note in history:
        if note.method.startswith((UNDONE, WITHDRAWN)):
            while stack and not alike(note, stack[-1]):
                stack.pop()
        if not stack or not alike(note, stack[-1]):
            stack.append(note)
    left = [
        note
        for note in stack[:-1]
        if not alike(note, stack[-1]) and (note.cause is None or counts(note.cause))
    ]
    return left[-1] if left else None


def without(
    history: Sequence[Note], cause: str, counts: Callable[[str], bool] = lambda cause: True
) -> Note | None:
    """What the present note was before `cause` changed it."""
    return former(history, lambda other: other != cause and counts(other))


def restored(note: Note, *, at: datetime, method: str, reason: str | None = None) -> Note:
    """`note` as a further revision; how and why it came back is its method."""
    how = method if reason is None else f"{method}: {reason}"
    return replace(note, method=how, created_at=at, expired_at=None)


def barred(history: Sequence[Note], cause: str) -> bool:
    """Whether somebody undid what `cause` changed; then it may not change it again."""
    return any(
        before.cause == cause and after.method.startswith(UNDONE)
        for before, after in pairwise(history)
    )


def alike(one: Note, other: Note) -> bool:
    """Whether they say the same for the same cause."""
    return (one.keywords, one.tags, one.context, one.cause) == (
        other.keywords,
        other.tags,
        other.context,
        other.cause,
    )
