"""Whatever happens to memories, no note tells of what is gone, and undo and redo stay in order."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memos.errors import StateConflict
from memos.types import Memory, State
from tests.notes.cabin import Cabin

_WORDS = ("amber", "birch", "cobalt", "dahlia", "ember", "fjord", "garnet", "hazel")
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "undo", "forget", "restore", "erase", "again"]), st.integers(0, 7)
    ),
    min_size=3,
    max_size=12,
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(_STEPS)
def test_no_note_tells_of_what_is_gone(steps):
    with tempfile.TemporaryDirectory() as folder:
        cabin = Cabin(Path(folder))
        try:
            _live(cabin, [("add", 0), ("add", 0), *steps])
        finally:
            cabin.close()


def _live(cabin: Cabin, steps) -> None:
    told: list[tuple[Memory, str]] = []
    gone: dict[str, State] = {}
    for step, number in steps:
        if step == "add" and len(told) < len(_WORDS):
            word = _WORDS[len(told)]
            memory = cabin.add(f"The pottery class in the blue barn had {word} glaze")
            told.append((memory, word))
            cabin.draft(memory)
        memory, word = told[number % len(told)]
        cabin.later()
        if step == "undo" and word not in gone:
            before = cabin.note(memory)
            try:
                assert cabin.notes.undo_note(cabin.cube, memory.id).context != before.context
            except StateConflict:
                assert before.cause is None
        elif step == "forget" and word not in gone:
            cabin.forget(memory)
            gone[word] = State.ARCHIVED
        elif step == "restore" and gone.get(word) is State.ARCHIVED:
            cabin.change(memory, state=State.ACTIVATED)
            del gone[word]
            cabin.draft(memory)
        elif step == "erase" and gone.get(word) is not State.ERASED:
            cabin.erase(memory)
            gone[word] = State.ERASED
        elif step == "again":
            before_all = [cabin.note(m) for m, w in told if w not in gone]
            cabin.draft()
            assert [cabin.note(m) for m, w in told if w not in gone] == before_all
        _check(cabin, told, gone)


def _check(cabin: Cabin, told, gone) -> None:
    for memory, word in told:
        if word in gone:
            continue
        present, history = cabin.note(memory), cabin.history(memory)
        assert word in present.context
        assert [
            note.revision for note in cabin.notes.note_history(cabin.cube, memory.id)
        ] == sorted({note.revision for note in cabin.notes.note_history(cabin.cube, memory.id)})
        for other, state in gone.items():
            assert other not in present.context
            assert other not in present.keywords
            if state is State.ERASED:
                assert other not in str(history)
