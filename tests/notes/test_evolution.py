"""Changes of notes by other memories, and what undoing them brings back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from memos.notes import evolution
from memos.types import Note

AT = datetime(2024, 5, 1, tzinfo=timezone.utc)
OWN = Note(
    memory_id="m",
    revision=1,
    keywords=("pottery class",),
    tags=("art",),
    context="Anna on 1 May 2024: about pottery class",
    method="extractive-1",
    cause=None,
    created_at=AT,
    expired_at=None,
)


def stored(history: list[Note], note: Note) -> None:
    """As a store would."""
    if history:
        history[-1] = replace(history[-1], expired_at=note.created_at)
    history.append(replace(note, revision=len(history) + 1))


def changed(history: list[Note], cause: str) -> None:
    own = evolution.own(history)
    assert own is not None
    at = AT + timedelta(hours=len(history))
    context = f"{own.context}; {cause} came back to it"
    stored(history, evolution.caused(own, cause, tags=[cause], context=context, at=at))


def undone(history: list[Note]) -> bool:
    before = evolution.former(history)
    if before is None:
        return False
    at = AT + timedelta(hours=len(history))
    stored(history, evolution.restored(before, at=at, method=evolution.UNDONE, reason="wrong"))
    return True


def said(note: Note) -> tuple:
    return (note.keywords, note.tags, note.context, note.cause)


def test_a_revision_owes_itself_to_one_cause_only():
    history = [OWN]
    changed(history, "a")
    changed(history, "b")
    assert history[-1].tags == ("art", "b")
    assert " a " not in history[-1].context


def test_undoing_goes_back_step_by_step_and_not_forth():
    history = [OWN]
    changed(history, "a")
    changed(history, "b")
    assert undone(history)
    assert said(history[-1]) == said(history[1])
    assert history[-1].method == "undone: wrong"
    assert undone(history)
    assert said(history[-1]) == said(OWN)
    assert not undone(history)
    assert len(history) == 5


def test_what_was_undone_is_barred_from_coming_back():
    history = [OWN]
    changed(history, "a")
    assert not evolution.barred(history, "a")
    undone(history)
    assert evolution.barred(history, "a")
    assert not evolution.barred(history, "b")


def test_forgetting_a_cause_passes_over_what_else_it_changed():
    history = [OWN]
    for cause in ("a", "b", "a"):
        changed(history, cause)
    before = evolution.without(history, "a")
    assert before is not None
    assert before.cause == "b"
    before = evolution.without(history, "a", lambda cause: cause != "b")
    assert before is not None
    assert said(before) == said(OWN)


_STEPS = st.lists(st.sampled_from(["a", "b", "c", "undo"]), max_size=14)


@given(_STEPS)
def test_undo_is_a_stack(steps):
    """Against the plainest model there is: a list of what stands, pushed and popped."""
    history, model = [OWN], [said(OWN)]
    for step in steps:
        if step == "undo":
            assert undone(history) == (len(model) > 1)
            if len(model) > 1:
                model.pop()
        else:
            changed(history, step)
            if said(history[-1]) != model[-1]:
                model.append(said(history[-1]))
        assert said(history[-1]) == model[-1]
    assert [note.revision for note in history] == list(range(1, len(history) + 1))


@given(_STEPS)
def test_undoing_often_enough_ends_at_the_notes_own_first_form(steps):
    history = [OWN]
    for step in steps:
        if step != "undo":
            changed(history, step)
    for _ in range(len(steps)):
        undone(history)
    assert said(history[-1]) == said(OWN)
    assert not undone(history)


@given(_STEPS, st.sampled_from(["a", "b", "c"]))
def test_nothing_of_a_cause_is_left_once_it_is_gone(steps, cause):
    history = [OWN]
    for step in steps:
        if step == "undo":
            undone(history)
        else:
            changed(history, step)
    if history[-1].cause == cause:
        before = evolution.without(history, cause)
        assert before is not None
        stored(history, evolution.restored(before, at=AT, method=evolution.WITHDRAWN))
    assert cause not in history[-1].tags
    assert f"{cause} came back" not in history[-1].context
