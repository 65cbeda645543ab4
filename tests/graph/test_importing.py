"""What callers may give as facts, and how it is refused."""

from datetime import datetime, timezone

import pytest

from memos.config import load
from memos.errors import InvalidInput
from memos.extraction.structured import KEY, given, read
from memos.graph.deriving.importing import facts_of, memory_of, ready
from memos.graph.sentences import sentence
from memos.graph.vocabulary import Vocabulary
from memos.types import Granularity, NewFact

SETTINGS = load({})
WORDS = Vocabulary()
NOON = datetime(2024, 2, 29, 12, tzinfo=timezone.utc)
GOOD = {"subject": "Ana", "predicate": "lives_in", "object": "Porto"}


def test_predicate_and_types_are_completed_from_the_vocabulary():
    (made,) = ready([{**GOOD, "predicate": "Lives in"}], WORDS, SETTINGS)
    assert (made.predicate, made.subject_type, made.object_type) == ("lives_in", "person", "place")
    (made,) = ready([{**GOOD, "predicate": "moored at"}], WORDS, SETTINGS)
    assert (made.predicate, made.subject_type, made.object_type) == ("moored_at", "thing", None)
    (made,) = ready([{**GOOD, "predicate": "likes"}], WORDS, SETTINGS)
    assert made.object_type == "thing"
    (made,) = ready([{**GOOD, "subject_type": "Grand Duke"}], WORDS, SETTINGS)
    assert made.subject_type == "grand_duke"


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"subject": "x" * 201}, "subject has 201 characters"),
        ({"subject": "x" * 1_000_000}, "subject has 1000000 characters"),
        ({"object": "x" * 201}, "object has 201 characters"),
        ({"predicate": "b", "object": "x" * 10_001}, "object has 10001 characters"),
        ({"predicate": "x" * 300}, "predicate has 300 characters"),
        ({"predicate": "!?"}, "neither letter nor digit"),
        ({"subject": " "}, "subject is empty"),
        ({"object": "ana's", "predicate": "knows"}, "to itself"),
        ({"valid_at": "2023", "invalid_at": "2022"}, "before valid_at"),
        ({"valid_at": "2023", "invalid_at": "2023"}, "never true"),
        ({"valid_at": datetime(2023, 1, 1)}, "no time zone"),
        ({"object": float("nan")}, "nan"),
        ({"object": ["a"]}, "object is a list"),
        ({"confidence": 2}, "confidence"),
        ({"negated": "yes"}, "negated"),
    ],
)
def test_what_can_not_be_a_fact_is_refused_by_number(wrong, complaint):
    with pytest.raises(InvalidInput, match=f"fact 1: .*{complaint}") as caught:
        ready([GOOD, {**GOOD, **wrong}], WORDS, SETTINGS)
    assert caught.value.details["fact"] == 1


def test_no_facts_are_refused():
    with pytest.raises(InvalidInput, match="no facts"):
        ready([], WORDS, SETTINGS)


FACTS = [
    NewFact(subject="Ana", predicate="lives_in", object="Porto", object_type="place",
            valid_at=NOON, granularity=Granularity.YEAR),
    NewFact(subject="Ana", predicate="weight", object=61.5, unit="kg", confidence=0.5),
    NewFact(subject="Ana", predicate="eats", negated=True),
    NewFact(subject="Ana", predicate="visited", object="Rome", valid_at=NOON, place="Rome"),
    NewFact(subject="K", predicate="afloat", object=False, invalid_at=NOON),
]  # fmt: skip


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.predicate)
def test_a_memory_of_a_fact_gives_the_fact_back(service, memos, fact):
    new = memory_of(fact, WORDS, "s1")
    (memory,) = memos.add(new).memories
    assert given(memos.get(memory.id)) == fact
    assert memory.content.startswith("It is not so" if fact.negated else fact.subject)
    assert memory.occurred_at == fact.valid_at
    changed = memos.update(memory.id, content="Something else.")
    assert given(changed) is None


def test_a_memory_that_only_looks_like_one_of_a_fact_is_none(memos):
    (memory,) = memos.add("Ana lives in Porto.", metadata={KEY: GOOD}).memories
    assert given(memory) is None


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        (FACTS[0], "Ana lives in Porto since 2024."),
        (FACTS[1], "Ana's weight is 61.5 kg."),
        (FACTS[2], "It is not so that Ana eats anything."),
        (FACTS[4], "K's afloat is false until 2024-02-29 12:00."),
    ],
)
def test_sentences(fact, text):
    assert sentence(fact) == text


def test_events_are_told_on_their_day():
    assert sentence(FACTS[3], event=True) == "Ana visited Rome on 2024-02-29 12:00."


def test_numbers_are_quantities_with_their_unit():
    (claim,) = read(FACTS[1], "").claims
    assert (claim.value, claim.quantity, claim.unit) == ("61.5 kg", 61.5, "kg")


def test_records_are_taken_apart():
    found = facts_of(
        [
            {"name": "Ben", "lives_in": "Faro", "speaks": ["Polish", "Greek"], "since": "2021-06"},
            {"name": 7, "age": 34, "email": "", "boss": None, "since": 2020},
        ],
        name_field="name",
        type="person",
        time_field="since",
    )
    assert [(f.subject, f.predicate, f.object) for f in found] == [
        ("Ben", "lives_in", "Faro"),
        ("Ben", "speaks", "Polish"),
        ("Ben", "speaks", "Greek"),
        ("7", "age", 34),
    ]
    assert {f.subject_type for f in found} == {"person"}
    assert [(f.valid_at.year, f.granularity.value) for f in found] == [
        (2021, "month"), (2021, "month"), (2021, "month"), (2020, "year"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        (7, "is a int"),
        ({"age": 3}, "its name"),
        ({"name": " ", "age": 3}, "its name"),
        ({"name": True, "age": 3}, "its name"),
        ({"name": "Ben", "home": {"city": "Faro"}}, "'home' holds a dict"),
        ({"name": "Ben", "age": 3, "since": "soon"}, "since is 'soon'"),
        ({"name": "Ben", "age": 3, "since": datetime(2024, 1, 1)}, "no time zone"),
        ({"name": "Ben", "age": 3, "since": [2020]}, "must be a time"),
    ],
)
def test_a_record_that_can_not_be_used_is_named_by_number(record, complaint):
    good = {"name": "Ana", "age": 3}
    with pytest.raises(InvalidInput, match=f"record 1: .*{complaint}"):
        facts_of([good, record], name_field="name", type="person", time_field="since")


@pytest.mark.parametrize("records", [[], [{"name": "Ana"}], "Ana", {"name": "Ana"}, 7])
def test_records_without_facts_are_refused(records):
    with pytest.raises(InvalidInput):
        facts_of(records, name_field="name", type="person", time_field=None)
