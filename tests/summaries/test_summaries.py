"""Summaries of sessions and communities on a real database."""

from __future__ import annotations

import pytest

from memos.errors import InvalidCursor
from memos.protocols import EntityMention, NewEntity, Reading
from memos.types import Assertion, Granularity, State, SummaryKind

TALK = (
    "Hey there!",
    "I joined a pottery class in the blue barn.",
    "How are you?",
    "The pottery class fired its first kiln of bowls.",
    "My sister bought a bowl of the pottery class.",
    "Bye now!",
    "Rain flooded the tram line at the harbour.",
    "The tram line at the harbour stays closed.",
)


def talk(cabin, session="s", **fields):
    return cabin.tell(*TALK, session_id=session, **fields)


def present(cabin, kind=SummaryKind.SESSION):
    return cabin.notes.summaries(cabin.cube, kind=kind).items


def test_a_session_is_told_by_its_own_sentences_in_order(cabin, sessions):
    turns = talk(cabin)
    assert sessions.make(cabin.cube) == 1
    (summary,) = present(cabin)
    assert (summary.kind, summary.key) == (SummaryKind.SESSION, "s")
    day, *lines = summary.text.splitlines()
    assert day == "2024-05-01"
    assert all(line.removeprefix("Anna: ") in TALK for line in lines)
    number = {turn.id: n for n, turn in enumerate(turns)}
    quoted = [number[id] for id in summary.memory_ids]
    assert quoted == sorted(quoted)
    assert [f"Anna: {TALK[n]}" for n in quoted] == lines
    assert not set(quoted) & {0, 2, 5}
    assert "pottery" in summary.text
    assert "tram" in summary.text


def test_what_has_not_changed_stays_and_new_turns_are_told(cabin, sessions):
    talk(cabin)
    sessions.make(cabin.cube)
    before = present(cabin)
    cabin.later(days=1)
    assert sessions.make(cabin.cube) == 1
    assert present(cabin) == before
    cabin.tell(
        *[f"The lighthouse keeper {n} paints a whale mural {n}." for n in range(8)], session_id="s"
    )
    sessions.make(cabin.cube, ["s"])
    (after,) = present(cabin)
    assert after.id != before[0].id
    assert "lighthouse" in after.text
    then = cabin.notes.summaries(cabin.cube, known_as_of=before[0].created_at).items
    assert then == before


@pytest.mark.parametrize("how", ["forget", "erase"])
def test_a_summary_goes_with_a_source_and_is_made_anew_without_it(cabin, sessions, how):
    talk(cabin)
    sessions.make(cabin.cube)
    (summary,) = present(cabin)
    gone = cabin.stores.memories.get(cabin.cube.id, summary.memory_ids[:1])[summary.memory_ids[0]]
    getattr(cabin, how)(gone)
    assert present(cabin) == ()
    assert sessions.make(cabin.cube) == 1
    (again,) = present(cabin)
    assert gone.id not in again.memory_ids
    assert gone.content not in again.text


def test_a_session_that_is_forgotten_whole_has_no_summary(cabin, sessions):
    turns = talk(cabin)
    sessions.make(cabin.cube)
    for turn in turns:
        cabin.change(turn, state=State.ARCHIVED)
    assert sessions.make(cabin.cube) == 0
    assert present(cabin) == ()


def test_users_with_the_same_session_name_are_told_apart(cabin, sessions):
    mine = {turn.id for turn in talk(cabin, user_id="u1")}
    talk(cabin, user_id="u2")
    assert sessions.make(cabin.cube) == 2
    for summary in present(cabin):
        ids = set(summary.memory_ids)
        assert ids <= mine or not ids & mine


def test_short_sessions_and_small_talk_have_none(cabin, sessions):
    cabin.tell(*TALK[1:3], session_id="short")
    cabin.tell("Hey!", "Hello you!", "How are you?", "Fine!", session_id="small")
    cabin.tell(*TALK)
    assert sessions.make(cabin.cube) == 0


def test_turns_past_their_expiry_are_not_told(cabin, sessions):
    talk(cabin, expires_at=cabin.now.replace(year=2025))
    cabin.now = cabin.now.replace(year=2026)
    assert sessions.make(cabin.cube) == 0


def test_summaries_come_in_pages(cabin, sessions):
    for session in "abcde":
        talk(cabin, session)
    assert sessions.make(cabin.cube) == 5
    first = cabin.notes.summaries(cabin.cube, limit=3)
    second = cabin.notes.summaries(cabin.cube, limit=3, cursor=first.next_cursor)
    assert sorted(s.key for s in (*first.items, *second.items)) == list("abcde")
    assert second.next_cursor is None
    with pytest.raises(InvalidCursor):
        cabin.notes.summaries(cabin.cube, kind=SummaryKind.SESSION, cursor=first.next_cursor)


def _graph(cabin, memories):
    """Anna practises what she said, so that both are a community."""
    anna = NewEntity(cabin.new_id(), "Anna", "person", "anna")
    craft = NewEntity(cabin.new_id(), "pottery class", "activity", "pottery class")
    readings = []
    for memory in memories:
        start = memory.content.find("pottery class")
        mentions = [EntityMention(anna.id, "Anna", "anna", 0, 0)]
        if start >= 0:
            mentions.append(
                EntityMention(craft.id, "pottery class", "pottery class", start, start + 13)
            )
        claim = Assertion(
            id=cabin.new_id(),
            cube_id=cabin.cube.id,
            memory_id=memory.id,
            subject_id=anna.id,
            predicate="practises",
            object_id=craft.id,
            value=None,
            quantity=None,
            unit=None,
            negated=False,
            corrects=False,
            replaces=None,
            valid_at=memory.created_at,
            granularity=Granularity.SECOND,
            invalid_at=None,
            invalid_granularity=None,
            stated_at=memory.created_at,
            place=None,
            confidence=0.9,
            extractor="test-1",
            start=0,
            end=1,
            created_at=memory.created_at,
        )
        readings.append(
            Reading(
                memory_id=memory.id,
                version=1,
                extractor="test-1",
                mentions=tuple(mentions),
                assertions=(claim,),
            )
        )
    cabin.stores.graph.record(cabin.cube.id, [anna, craft], readings)
    return anna.id, craft.id


def test_a_community_is_told_by_what_its_facts_rest_on(cabin, communities):
    turns = talk(cabin)
    members = _graph(cabin, [turns[1], turns[3], turns[4]])
    assert communities.make(cabin.cube, [members]) == 1
    (summary,) = present(cabin, SummaryKind.COMMUNITY)
    assert (summary.key, set(summary.entity_ids)) == ("0", set(members))
    assert set(summary.memory_ids) <= {turns[n].id for n in (1, 3, 4)}
    assert summary.text.startswith("Anna, pottery class, 2024-05-01\nAnna: ")
    before = present(cabin)
    assert communities.make(cabin.cube, [members]) == 1
    assert present(cabin) == before


def test_a_community_summary_goes_with_its_source(cabin, communities):
    turns = talk(cabin)
    members = _graph(cabin, [turns[1], turns[3], turns[4]])
    communities.make(cabin.cube, [members])
    cabin.erase(turns[3])
    cabin.erase(turns[1])
    assert all(turns[n].id not in s.memory_ids for s in present(cabin) for n in (1, 3))
    communities.make(cabin.cube, [members])
    assert TALK[3] not in str(present(cabin))
    assert communities.make(cabin.cube, []) == 0
    assert present(cabin, SummaryKind.COMMUNITY) == ()
