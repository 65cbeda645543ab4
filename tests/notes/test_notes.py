"""Notes on a real database: what is drafted, linked, changed by later memories, and undone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from memos.errors import MemoryNotFound, NoteNotFound, StateConflict
from memos.protocols import EntityMention, NewEntity, Reading
from memos.types import Assertion, Granularity, State
from tests.notes.cabin import START, Cabin

POTTERY = "I joined a pottery class at the blue barn in Bern"
KILN = "Our pottery class at the blue barn fired the kiln"
WEATHER = "Heavy rain flooded the tram line yesterday"


def test_a_note_says_what_a_memory_is_about(cabin: Cabin):
    memory = cabin.add(POTTERY, place="Bern", occurred_at=START + timedelta(days=7), session_id="s")
    cabin.draft()
    note = cabin.note(memory)
    assert "pottery class" in note.keywords
    assert "Bern" in note.keywords
    assert note.context.startswith("Anna on 8 May 2024, in Bern: about ")
    assert "pottery class" in note.context
    assert (note.revision, note.cause, note.method) == (1, None, "extractive-1")


def test_no_memory_is_embedded_again(cabin: Cabin):
    cabin.tell(POTTERY, KILN, WEATHER)
    texts = set(cabin.embedder.texts)
    cabin.embedder.texts.clear()
    cabin.draft()
    assert cabin.embedder.texts  # the topics
    assert not texts & set(cabin.embedder.texts)
    cabin.embedder.texts.clear()
    cabin.draft(cabin.add("One more memory of pottery"))
    assert cabin.embedder.texts == ["One more memory of pottery"]


def test_related_memories_are_linked_with_reasons_and_others_are_not(cabin: Cabin):
    old, other, new = cabin.tell(POTTERY, WEATHER, KILN)
    cabin.draft()
    assert cabin.links(new) == {old.id: "elaborates"}
    assert cabin.links(old) == cabin.links(other) == {}
    (link,) = cabin.stores.links.of(cabin.cube.id, new.id)
    assert link.reason.startswith("takes up ")
    assert "pottery class" in link.reason
    assert "cosine 0." in link.reason


def test_links_are_at_most_five(cabin: Cabin):
    cabin.tell(*[f"{POTTERY} number {n}" for n in range(9)])
    new = cabin.add(KILN)
    cabin.draft()
    assert len(cabin.links(new)) == 5


def test_users_are_strangers_to_each_other(cabin: Cabin):
    mine, theirs = cabin.add(POTTERY, user_id="u1"), cabin.add(POTTERY, user_id="u2")
    new = cabin.add(KILN, user_id="u1")
    cabin.draft()
    assert list(cabin.links(new)) == [mine.id]
    assert len(cabin.history(mine)) == 2
    assert len(cabin.history(theirs)) == 1


def test_a_later_memory_changes_the_note_and_is_named_as_the_cause(cabin: Cabin):
    old = cabin.add(POTTERY)
    cabin.draft()
    own = cabin.note(old)
    new = cabin.add(KILN, speaker="Eva")
    cabin.draft(new)
    note = cabin.note(old)
    assert (note.revision, note.cause) == (2, new.id)
    assert note.context.startswith(own.context + "; Eva came back to it on 1 May 2024: ")
    assert "kiln" in note.context
    first, second = cabin.notes.note_history(cabin.cube, old.id)
    assert first.expired_at == second.created_at
    assert cabin.notes.note(cabin.cube, old.id, known_as_of=first.created_at).context == own.context


def test_drafting_again_changes_nothing(cabin: Cabin):
    memories = cabin.tell(POTTERY, WEATHER, KILN)
    cabin.draft()
    before = [cabin.history(memory) for memory in memories]
    links = [cabin.stores.links.of(cabin.cube.id, memory.id) for memory in memories]
    drafts = cabin.draft()
    assert drafts.notes == drafts.links == ()
    cabin.draft(*memories)
    assert [cabin.history(memory) for memory in memories] == before
    assert [cabin.stores.links.of(cabin.cube.id, m.id) for m in memories] == links


def test_it_does_not_matter_how_memories_are_batched(tmp_path):
    texts = [POTTERY, WEATHER, KILN, "The blue barn in Bern burned down", "Rain again flooded Bern"]
    found = []
    for name, size in (("one", 1), ("two", 2), ("all", 5)):
        cabin = Cabin(tmp_path, name=name)
        memories = cabin.tell(*texts)
        for start in range(0, len(texts), size):
            cabin.draft(*memories[start : start + size])
        number = {memory.id: n for n, memory in enumerate(memories)}
        notes = [cabin.note(memory) for memory in memories]
        found.append(
            (
                [(n.keywords, n.tags, n.context, n.cause and number[n.cause]) for n in notes],
                [{number[o]: r for o, r in cabin.links(m).items()} for m in memories],
            )
        )
        cabin.close()
    assert found[0] == found[1] == found[2]
    assert any(note[3] is not None for note in found[0][0])


def test_undo_brings_back_the_former_note_and_its_cause_may_not_change_it_again(cabin: Cabin):
    old = cabin.add(POTTERY)
    cabin.draft()
    own = cabin.note(old)
    new = cabin.add(KILN)
    cabin.draft(new)
    undone = cabin.notes.undo_note(cabin.cube, old.id, reason="not about that")
    assert (undone.revision, undone.context, undone.cause) == (3, own.context, None)
    assert undone.method == "undone: not about that"
    assert cabin.note(old) == undone
    cabin.change(new, content=KILN + " twice")
    cabin.draft(new)
    assert cabin.note(old) == undone
    with pytest.raises(StateConflict, match="no earlier form"):
        cabin.notes.undo_note(cabin.cube, old.id)


def test_forgetting_the_cause_undoes_what_it_caused(cabin: Cabin):
    old = cabin.add(POTTERY)
    cabin.draft()
    own = cabin.note(old)
    new = cabin.add(KILN)
    cabin.draft(new)
    cabin.forget(new)
    note = cabin.note(old)
    assert (note.revision, note.context, note.cause, note.method) == (
        3,
        own.context,
        None,
        "withdrawn",
    )
    cabin.change(new, state=State.ACTIVATED)
    cabin.draft(new)
    assert cabin.note(old).cause == new.id  # brought back, it counts again


def test_erasing_the_cause_leaves_nothing_of_it(cabin: Cabin):
    old = cabin.add(POTTERY)
    cabin.draft()
    own = cabin.note(old)
    secret = cabin.add(KILN + " quicksilver")
    cabin.draft(secret)
    assert "quicksilver" in str(cabin.history(old))
    last = cabin.add("The pottery class in the blue barn in Bern was cancelled")
    cabin.draft(last)
    cabin.erase(secret)
    assert "quicksilver" not in str(cabin.history(old))
    assert cabin.note(old).context.startswith(own.context)
    assert cabin.stores.links.of(cabin.cube.id, secret.id) == ()


def test_erasing_a_cause_keeps_the_note_of_the_present_text(cabin: Cabin):
    old = cabin.add(POTTERY)
    cabin.draft()
    cause = cabin.add(KILN)
    cabin.draft(cause)
    changed = cabin.change(old, content=WEATHER)
    cabin.draft(changed)
    at = cabin.now
    cabin.later()
    cabin.erase(cause)
    assert "tram line" in cabin.note(old).context
    assert [cause for cause, _ in cabin.history(old)] == [None, None]
    assert cabin.notes.note(cabin.cube, old.id, known_as_of=at) == cabin.note(old)


def test_erasing_a_cause_does_not_bring_back_a_forgotten_one(cabin: Cabin):
    old = cabin.add(POTTERY)
    cabin.draft()
    own = cabin.note(old)
    first, second = cabin.add(KILN + " quicksilver"), cabin.add(KILN + " cinnabar")
    cabin.draft(first)
    cabin.draft(second)
    cabin.forget(first)
    assert cabin.note(old).cause == second.id
    cabin.erase(second)
    note = cabin.note(old)
    assert (note.context, note.cause) == (own.context, None)
    history = cabin.notes.note_history(cabin.cube, old.id)
    assert [n.cause for n in history] == [None, first.id, None]
    assert [n.expired_at for n in history] == [*(n.created_at for n in history[1:]), None]


def test_a_changed_text_gets_a_new_note_and_takes_back_what_the_former_changed(cabin: Cabin):
    old = cabin.add(POTTERY)
    cabin.draft()
    own = cabin.note(old)
    new = cabin.add(KILN)
    cabin.draft(new)
    changed = cabin.change(new, content=WEATHER)
    cabin.draft(changed)
    assert cabin.note(old).context == own.context
    assert "kiln" not in cabin.note(new).context
    assert cabin.note(new).revision == 2


def test_a_changed_text_is_linked_anew(cabin: Cabin):
    old = cabin.add(POTTERY)
    new = cabin.add(KILN)
    cabin.draft(old, new)
    [drafted] = cabin.stores.links.of(cabin.cube.id, new.id)
    assert drafted.origin == "extractive-1"
    changed = cabin.change(new, content=WEATHER)
    cabin.draft(changed)
    assert cabin.stores.links.of(cabin.cube.id, new.id) == ()
    assert cabin.stores.links.of(cabin.cube.id, new.id, known_as_of=drafted.created_at) == (
        drafted,
    )


def test_a_note_of_its_own_text_stays_when_another_memory_changed_it(cabin: Cabin):
    old = cabin.add(POTTERY)
    cabin.draft()
    new = cabin.add(KILN)
    cabin.draft(new)
    cabin.change(old, metadata={"seen": True})
    assert cabin.draft(old).notes == ()
    assert cabin.note(old).cause == new.id


def test_a_turn_that_says_little_is_read_with_the_one_before(cabin: Cabin):
    asked = cabin.add("Do you like the pottery class?", speaker="Eva", session_id="s")
    answer = cabin.add("Yes, I really do!", session_id="s")
    elsewhere = cabin.add("Yes, I really do!", session_id="other")
    cabin.draft()
    note = cabin.note(answer)
    assert note.cause == asked.id
    assert note.context.endswith("; after Eva asked “Do you like the pottery class?”")
    assert cabin.history(answer)[0][0] is None
    assert cabin.note(elsewhere).cause is None
    cabin.erase(asked)
    assert "pottery" not in str(cabin.history(answer))


@pytest.mark.parametrize(
    "text",
    [
        "x" * 90_000,
        "pottery " * 12_000,
        "\u202e\x01 🎉" * 500,
        "?",
        "陶芸教室に通い始めた",
        "-" * 300,
    ],
)
def test_any_text_has_a_note_of_bounded_size(cabin: Cabin, text):
    memory = cabin.add(text)
    again = cabin.add(text)
    cabin.draft()
    for one in (memory, again):
        note = cabin.note(one)
        assert len(note.context) < 500
        assert all(len(keyword) < 200 for keyword in note.keywords)


def test_memories_wait_for_their_vectors(cabin: Cabin):
    late = cabin.add(KILN, vector=False)
    ready = cabin.add(POTTERY)
    assert cabin.draft().wait == (late.id,)
    assert cabin.note(ready).revision == 1
    with pytest.raises(NoteNotFound):
        cabin.note(late)
    stored = cabin.indexer.full(cabin.cube.id, [late])
    cabin.stores.feed.put_indexed(cabin.cube.id, [(late.id, late.version, stored[0])])
    assert cabin.draft().wait == ()
    assert cabin.note(late).revision == 1


def test_forgotten_memories_are_not_drafted_and_unknown_ones_have_no_note(cabin: Cabin):
    gone = cabin.add(POTTERY)
    cabin.forget(gone)
    assert cabin.draft(gone) == cabin.draft(gone).__class__()
    with pytest.raises(MemoryNotFound):
        cabin.notes.note(cabin.cube, "01AAAAAAAAAAAAAAAAAAAAAAAA")
    with pytest.raises(NoteNotFound):
        cabin.notes.note_history(cabin.cube, gone.id)
    cabin.erase(gone)
    with pytest.raises(MemoryNotFound):
        cabin.note(gone)


def test_a_contradiction_is_a_link_with_both_statements(cabin: Cabin):
    rome = cabin.add("I live in Rome with my old parents now", session_id="a")
    bern = cabin.add("I live in Bern with my old parents now", session_id="b")
    _assert_homes(cabin, {"Rome": rome, "Bern": bern})
    cabin.draft()
    (link,) = cabin.stores.links.of(cabin.cube.id, bern.id)
    assert (link.target_id, link.relation) == (rome.id, "contradicts")
    assert "Anna lives in Rome” was ended by “Anna lives in Bern" in link.reason
    assert "said otherwise" in cabin.note(rome).context
    assert "person" not in cabin.note(rome).tags  # she is the speaker
    assert "city" in cabin.note(rome).tags


def _assert_homes(cabin: Cabin, homes) -> None:
    anna = NewEntity(cabin.new_id(), "Anna", "person", "anna")
    cities = {city: NewEntity(cabin.new_id(), city, "city", city.lower()) for city in homes}
    readings = []
    for city, memory in homes.items():
        start = memory.content.index(city)
        end = start + len(city)
        readings.append(
            Reading(
                memory_id=memory.id,
                version=1,
                extractor="test-1",
                mentions=(
                    EntityMention(anna.id, "Anna", "anna", 0, 0),
                    EntityMention(cities[city].id, city, city.lower(), start, end),
                ),
                assertions=(_home(cabin, memory, anna.id, cities[city].id, end),),
            )
        )
    cabin.stores.graph.record(cabin.cube.id, [anna, *cities.values()], readings)


def _home(cabin: Cabin, memory, subject: str, city: str, end: int) -> Assertion:
    return Assertion(
        id=cabin.new_id(),
        cube_id=cabin.cube.id,
        memory_id=memory.id,
        subject_id=subject,
        predicate="lives_in",
        object_id=city,
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
        end=end,
        created_at=memory.created_at,
    )


def test_things_named_in_both_are_a_reason(cabin: Cabin):
    one = cabin.add("In Rome we all had ice", session_id="a")
    two = cabin.add("In Rome we all had rain", session_id="b")
    _assert_homes(cabin, {"Rome": one})
    graph = cabin.stores.graph
    city = graph.by_alias(cabin.cube.id, ["rome"])["rome"][0]
    mention = EntityMention(city.id, "Rome", "rome", 0, 4)
    reading = Reading(memory_id=two.id, version=1, extractor="test-1", mentions=(mention,))
    graph.record(cabin.cube.id, [], [reading])
    cabin.draft()
    (link,) = cabin.stores.links.of(cabin.cube.id, two.id)
    assert (link.target_id, link.relation) == (one.id, "same_entity")
    assert link.reason.startswith("both name Rome; cosine 0.8")
