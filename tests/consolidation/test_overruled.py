"""Instructions that a later one overrules, and a profile that follows."""

from __future__ import annotations

import pytest

from memos.service import MemoryOS, Service
from memos.types import Kind, State
from tests.consolidation.test_consolidation import consolidated, said
from tests.service.conftest import clock, memos, postgres_server, postgres_url, service

__all__ = ["clock", "memos", "postgres_server", "postgres_url", "service"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Always answer in French.", "Please answer in English from now on."),
        ("Always answer in French.", "Never answer in French."),
        ("Please reply to me in German.", "Don't write in German any more."),
        ("Never use emojis.", "Please use emojis."),
        ("Use emojis.", "Stop using emojis."),
        ("Call me Bob.", "From now on, call me Robert."),
    ],
)
def test_a_later_instruction_overrules(
    service: Service, memos: MemoryOS, before: str, after: str
) -> None:
    first, second = memos.add(said(before, after)).memories
    [action] = memos.plan().items
    assert (action.kind.value, action.reason) == ("supersede", "a later instruction overrules it")
    consolidated(service, memos)
    assert memos.get(first.id).state is State.MERGED
    assert memos.get(second.id).state is State.ACTIVATED
    [event] = memos.events(kinds=["memory.supersede"]).items
    memos.undo(event.id)
    assert memos.get(first.id).state is State.ACTIVATED
    consolidated(service, memos)  # who brought it back is right
    assert memos.get(first.id).state is State.ACTIVATED


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Use tabs.", "Use dark mode."),
        ("Always answer in French.", "Answer in detail."),
        ("Always answer in French.", "Never answer in German."),
        ("Never answer in German.", "Please answer in English."),
        ("Always answer in French.", "I can't answer in French."),
        ("Don't call me at night.", "Call me Bob."),
        ("Call me Ana.", "Always call me before you deploy."),
        ("Call me Bob.", "Call me at night."),
        ("Call me Ana.", "Always call me when a build fails."),
        ("Always answer in French. And use short sentences.", "Never answer in French."),
    ],
)
def test_what_may_stand_beside_another_does(memos: MemoryOS, before: str, after: str) -> None:
    memos.add(said(before, after))
    assert memos.plan().items == ()


def test_of_many_the_last_stands(service: Service, memos: MemoryOS) -> None:
    texts = [
        "Call me Bob.",
        "Call me Rob.",
        "Don't call me Bob.",
        "Call me Robert.",
        "Call me Rob.",
    ]
    added = memos.add(said(*texts)).memories
    consolidated(service, memos)
    states = [memos.get(memory.id).state is State.MERGED for memory in added]
    # "Don't call me Bob" stands beside what came after; the second "Rob" is the first again.
    assert states == [True, True, False, True, False]
    about = {line.derived_id for memory in added[:2] for line in memos.lineage(memory.id)}
    assert added[4].id in about


def test_of_another_speaker_nothing_is_overruled(memos: MemoryOS) -> None:
    memos.add(said("Always answer in French."))
    memos.add(said("Never answer in French.", speaker="Tom", begin=9))
    assert memos.plan().items == ()


def test_a_profile_does_not_go_on_with_what_was_overruled(
    service: Service, memos: MemoryOS
) -> None:
    memos.add(said("Always answer in French.", "Please always answer in French!"))
    consolidated(service, memos)
    [made] = memos.memories(kinds=[Kind.PROCEDURAL]).items
    assert "French" in made.content
    memos.add(said("Please answer in English from now on.", begin=30))
    consolidated(service, memos)
    assert memos.memories(kinds=[Kind.PROCEDURAL]).items == ()
    assert "French" not in memos.context("How to answer?").text
