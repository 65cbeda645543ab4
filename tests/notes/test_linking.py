"""Which old memories a new one is linked to, by which relation, for which stated reason."""

from __future__ import annotations

from datetime import datetime, timezone

from memos.notes.linking import LIMIT, Subject, contradictions, entities_of, ties
from memos.notes.surroundings import Near
from memos.protocols import EntityMention
from memos.types import EntityRef, Fact, FactSource

AT = datetime(2024, 5, 1, tzinfo=timezone.utc)


def subject(id, keywords=(), tags=(), entities=(), position=1):
    return Subject(id, position, tuple(keywords), tuple(tags), dict(entities))


def near(id, cosine=0.5, position=1, same_session=False):
    return Near(id, cosine, position, same_session)


NEW = subject("new", ["pottery class", "kiln"], ["art"], {"e1": "Anna"}, position=100)


def relation(old, **where):
    found = ties(NEW, [near("old", **where)], {"old": old}, {})
    return (found[0].relation, found[0].reason) if found else None


def test_relations_say_why():
    assert relation(subject("old", ["kilns", "class trip"])) == (
        "elaborates",
        "takes up pottery class, kiln; cosine 0.50",
    )
    assert relation(subject("old", ["x"], entities={"e1": "Anne"})) == (
        "same_entity",
        "both name Anna; cosine 0.50",
    )
    assert relation(subject("old", ["kiln"])) == ("same_topic", "both about kiln; cosine 0.50")
    assert relation(subject("old", ["x"], ["art"])) == ("same_topic", "both about art; cosine 0.50")
    assert relation(subject("old"), cosine=0.99)[0] == "repeats"
    assert relation(subject("old"), same_session=True, position=99)[0] == "continues"
    assert relation(subject("old"), cosine=0.7) == (
        "same_topic",
        "very near in meaning; cosine 0.70",
    )


def test_small_talk_is_linked_to_nothing():
    assert relation(subject("old", ["x"])) is None
    empty = subject("new", position=100)
    assert ties(empty, [near("old", 0.7)], {"old": subject("old")}, {}) == ()


def test_a_contradiction_comes_before_all_with_both_statements():
    denied = {("new", "old"): "“Anna lives in Rome” was ended by “Anna lives in Bern”"}
    others = {f"o{i}": subject(f"o{i}", ["kiln"]) for i in range(9)}
    crowd = [near(id, 0.9) for id in others] + [near("old", 0.41)]
    found = ties(NEW, crowd, {**others, "old": subject("old")}, denied)
    assert len(found) == LIMIT
    assert (found[0].memory_id, found[0].relation) == ("old", "contradicts")
    assert "Rome" in found[0].reason


def test_few_links_stay_within_the_session():
    old = {f"o{i}": subject(f"o{i}", ["kiln"]) for i in range(9)}
    found = ties(NEW, [near(id, same_session=True, position=99) for id in old], old, {})
    assert len(found) == 2


def test_what_is_shared_weighs_beside_nearness():
    old = {"a": subject("a", ["kiln", "pottery class"]), "b": subject("b", [], ["art"])}
    found = ties(NEW, [near("b", 0.55), near("a", 0.5)], old, {})
    assert [tie.memory_id for tie in found] == ["a", "b"]


def test_entities_are_those_named_but_not_the_speaker():
    mentions = [
        EntityMention("e1", "Anna", "anna", 0, 4),
        EntityMention("e2", "Bern", "bern", 10, 14),
        EntityMention("e3", "Eva", "eva", 0, 0),
    ]
    assert entities_of(mentions, "anna") == {"e2": "Bern"}


def fact(id, memory, city, closed_by=None):
    return Fact(
        id=id,
        revision=1,
        cube_id="c",
        subject=EntityRef(id="e1", name="Anna", type="person"),
        predicate="lives_in",
        object=EntityRef(id=city, name=city, type="city"),
        value=None,
        quantity=None,
        unit=None,
        negated=False,
        event=False,
        place=None,
        confidence=0.9,
        valid_at=AT,
        granularity=None,
        invalid_at=None,
        invalid_granularity=None,
        created_at=AT,
        expired_at=None,
        closed_by=closed_by,
        rule="functional" if closed_by else None,
        sources=(
            FactSource(
                assertion_id=f"a{id}",
                memory_id=memory,
                start=0,
                end=1,
                extractor="rules",
                confidence=0.9,
                stated_at=AT,
            ),
        ),
    )


def test_contradictions_are_facts_that_others_closed():
    found = contradictions([fact("1", "old", "Rome", "2"), fact("2", "new", "Bern")])
    assert found == {("new", "old"): "“Anna lives in Rome” was ended by “Anna lives in Bern”"}
    assert contradictions([fact("1", "old", "Rome", "9")]) == {}
    assert contradictions([fact("1", "m", "Rome", "2"), fact("2", "m", "Bern")]) == {}
