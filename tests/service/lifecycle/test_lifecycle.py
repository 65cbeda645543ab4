"""Lives of memories: random operations against a model, undo, rollback, rules, clocks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from memos.assembly import build
from memos.config import load
from memos.errors import (
    InvalidInput,
    MemoryNotFound,
    PolicyContradiction,
    StateConflict,
    VersionConflict,
)
from memos.lifecycle import VERBS
from memos.testing import HashEmbedder
from memos.types import LIVE, Kind, State
from tests.service.conftest import Clock

WORDS = ("harbour", "lantern", "orchard", "compass")


class Lives(RuleBasedStateMachine):
    """One memory's history is kept twice: by the service, and as a list of (state, text)."""

    @initialize()
    def start(self) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.service = build(
            load({}, data_dir=self.folder.name, extraction="none", vector_index="none"),
            embedder=HashEmbedder(),
            clock=self.clock,
        )
        self.memos = self.service.tenant(actor="tester")
        self.id = self.memos.add(WORDS[0]).memories[0].id
        self.said = [(State.ACTIVATED, WORDS[0])]
        self.times = [self.clock.now]

    def teardown(self) -> None:
        if hasattr(self, "service"):
            self.service.close()
            self.folder.cleanup()

    def _did(self, state: State, text: str) -> None:
        self.said.append((state, text))
        self.times.append(self.clock.now)

    @rule(verb=st.sampled_from(["archive", "freeze", "thaw", "expire", "restore"]))
    def step(self, verb: str) -> None:
        self.clock.forward(seconds=1)
        state, text = self.said[-1]
        if state in VERBS[verb].since:
            assert getattr(self.memos, verb)(self.id).state is VERBS[verb].to
            self._did(VERBS[verb].to, text)
        else:
            kind = MemoryNotFound if state is State.ERASED else StateConflict
            with pytest.raises(kind):
                getattr(self.memos, verb)(self.id)

    @rule(word=st.sampled_from(WORDS))
    def update(self, word: str) -> None:
        self.clock.forward(seconds=1)
        if self.said[-1][0] is State.ACTIVATED:
            self.memos.update(self.id, content=word)
            self._did(State.ACTIVATED, word)
        else:
            with pytest.raises((StateConflict, MemoryNotFound)):
                self.memos.update(self.id, content=word)

    @rule(data=st.data())
    def rollback(self, data: st.DataObject) -> None:
        self.clock.forward(seconds=1)
        version = data.draw(st.integers(1, len(self.said)))
        state, text = self.said[version - 1]
        if self.said[-1][0] in (State.FROZEN, State.ERASED) or state is State.FROZEN:
            with pytest.raises((StateConflict, MemoryNotFound)):
                self.memos.rollback(self.id, version)
        else:
            self.memos.rollback(self.id, version)
            self._did(state, text)

    @rule()
    def undo_the_last(self) -> None:
        self.clock.forward(seconds=1)
        events = self.memos.explain(self.id).events
        if not events or not events[-1].undo:
            return
        [step] = events[-1].undo
        state, text = self.said[step.version - 1]
        fits = step.version == len(self.said) - 1
        if self.said[-1][0] in (State.FROZEN, State.ERASED) or state is State.FROZEN or not fits:
            with pytest.raises((StateConflict, VersionConflict, MemoryNotFound)):
                self.memos.undo(events[-1].id)
        else:
            [back] = self.memos.undo(events[-1].id)
            assert (back.state, back.content) == (state, text)
            self._did(state, text)

    @rule()
    def erase(self) -> None:
        if self.said[-1][0] is not State.ERASED and len(self.said) > 6:
            self.clock.forward(seconds=1)
            self.memos.forget(self.id, erase=True)
            self._did(State.ERASED, "")

    @invariant()
    def it_is_what_was_said(self) -> None:
        if not hasattr(self, "said"):
            return
        state, text = self.said[-1]
        history = self.memos.history(self.id)
        assert [entry.version for entry in history] == list(range(1, len(self.said) + 1))
        found = [hit.memory.id for hit in self.memos.search(text or WORDS[0]).hits]
        assert found == ([self.id] if state in LIVE else [])
        if state is State.ERASED:
            assert all(entry.memory is None for entry in history)
            return
        assert [(e.memory.state, e.memory.content) for e in history] == self.said
        for (was, told), at in zip(self.said, self.times, strict=True):
            then = self.memos.get(self.id, known_as_of=at)
            assert (then.state, then.content) == (was, told)


Lives.TestCase.settings = settings(
    max_examples=8,
    stateful_step_count=14,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestLives = Lives.TestCase


def drain(service) -> None:
    service.worker.drain()


def test_rules_archive_expire_and_erase_by_age_and_say_why(service, memos, clock) -> None:
    old = memos.add("The ferry leaves at nine.", kind=Kind.SEMANTIC).memories[0].id
    kept = memos.add("The lighthouse is red.", kind=Kind.SEMANTIC).memories[0].id
    other = memos.add("Rain today.").memories[0].id
    memos.freeze(kept)
    memos.set_lifecycle_rule(Kind.SEMANTIC, archive_after=10, expire_after=20, erase_after=30)
    for days, state in ((9, State.ACTIVATED), (2, State.ARCHIVED), (10, State.EXPIRED)):
        clock.forward(days=days)
        drain(service)
        assert memos.get(old).state is state
    why = memos.explain(old)
    assert [event.kind for event in why.events] == ["memory.archive", "memory.expire"]
    assert all(event.actor is None for event in why.events)
    assert why.events[0].numbers == {"age_days": 11.0, "archive_after": 10.0}
    memos.undo(why.events[-1].id)
    assert memos.get(old).state is State.ARCHIVED
    clock.forward(days=40)
    drain(service)
    clock.forward(days=1)
    drain(service)
    with pytest.raises(MemoryNotFound):
        memos.get(old)
    assert memos.explain(old).events[-1].kind == "memory.erase"
    assert memos.get(kept).state is State.FROZEN
    assert memos.get(other).state is State.ACTIVATED
    memos.set_lifecycle_rule(Kind.SEMANTIC)
    assert memos.lifecycle_rules() == ()


def test_a_memory_expires_at_its_own_time_and_comes_back_without_it(service, memos, clock) -> None:
    soon = clock.now + timedelta(hours=1)
    id = memos.add("The code is 7 3 1.", expires_at=soon).memories[0].id
    clock.forward(hours=-5)  # somebody set the clock back: nothing is due, nothing breaks
    drain(service)
    assert memos.get(id).state is State.ACTIVATED
    clock.forward(hours=6, minutes=2)
    drain(service)
    assert memos.get(id).state is State.EXPIRED
    back = memos.restore(id)
    assert (back.state, back.expires_at) == (State.ACTIVATED, None)


def test_rules_that_contradict_are_refused(memos) -> None:
    with pytest.raises(PolicyContradiction, match="expire_after is 5 days and archive_after 10"):
        memos.set_lifecycle_rule(Kind.CORE, archive_after=10, expire_after=5)
    for bad in (0, -1, float("nan"), 1e9, True):
        with pytest.raises(InvalidInput, match="erase_after"):
            memos.set_lifecycle_rule(Kind.CORE, erase_after=bad)
    assert memos.lifecycle_rules() == ()


def test_undo_takes_back_all_or_nothing(service, memos) -> None:
    from memos.types import NewEvent, UndoStep

    one, two = (memory.id for memory in memos.add(["one", "two"]).memories)
    cube = memos.cube("default")
    memos.archive(one)
    memos.archive(two)
    steps = tuple(UndoStep(memory_id=id, version=1) for id in (one, two))
    [event] = service.stores.events.append(
        "default",
        [NewEvent(kind="memory.merge", subjects=(one, two), cube_id=cube.id, undo=steps)],
    )
    memos.restore(two)
    with pytest.raises(VersionConflict, match="changed since"):
        memos.undo(event)
    assert memos.get(one).state is State.ARCHIVED
    with pytest.raises(InvalidInput, match="no version 9"):
        memos.rollback(one, 9)
