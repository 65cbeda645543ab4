"""Which names become one entity, on a real store."""

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from memos.graph.resolving.likeness import misspelt, same_meaning, same_plural, short_for
from memos.types import Claim, Extraction, Granularity, MentionDraft, Period, Ref
from tests.graph.counting import calls


@pytest.fixture
def told(service, memos):
    """Stores a memory and what was read of it; gives the entity ids of its mentions."""
    cube = memos.create_cube("c")

    def tell(*refs: Ref, claims=(), text="said", speaker=None, user_id=None, occurred_at=None):
        (memory,) = memos.add(
            text, cube="c", speaker=speaker, user_id=user_id, occurred_at=occurred_at
        ).memories
        found = Extraction(mentions=tuple(MentionDraft(ref=ref) for ref in refs), claims=claims)
        entities, readings = service.resolver.resolve(cube, [(memory, found)], extractor="test-1")
        recorded = service.stores.graph.record(cube.id, entities, readings)
        tell.reading = readings[0]
        tell.memory = memory
        ids = [mention.entity_id for mention in readings[0].mentions]
        return [recorded.entities.get(id, id) for id in ids]

    tell.cube = cube
    return tell


def person(name: str) -> Ref:
    return Ref(name=name, type="person")


def same(told, one: Ref, other: Ref) -> bool:
    return told(one) == told(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (person("Ana"), person("ANA")),
        (person("Ana"), person("ana's")),
        (Ref(name="the Louvre", type="place"), Ref(name="Louvre", type="organisation")),
        (Ref(name="Porto"), Ref(name="Porto", type="city")),
        (person("Elizabeth"), person("Liz")),
        (person("Elizabeth Smith"), person("Liz")),
        (person("Anna Kowalska"), person("Anna")),
        (person("Mr. Patel"), person("Patel")),
        (person("Mrs Patel"), person("Ms. Patel")),
        (person("Dr. Patel"), person("Mrs. Patel")),
        (person("Kowalczyk-Nowak"), person("Kovalczyk Nowak")),
        (Ref(name="Philharmonie", type="organisation"), Ref(name="Philarmonie", type="place")),
        (Ref(name="guitar lesson"), Ref(name="guitar lessons")),
        (Ref(name="summer camp Oregon", type="event"),
         Ref(name="Oregon summer camp", type="event")),
    ],
)  # fmt: skip
def test_one_thing_under_two_names(told, one, other):
    assert same(told, one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (person("Jon"), person("John")),
        (person("Daniel"), person("Daniela")),
        (person("Maria"), person("Mario")),
        (person("Kirsten"), person("Kristen")),
        (person("Liz Jones"), person("Elizabeth Smith")),
        (person("Liz"), person("Beth")),
        (person("Anna"), person("Anna's friend")),
        (person("Anna's sister"), person("Anna's other sister")),
        (person("Anna's sister"), person("Anna's younger sister")),
        (person("Anna's partner"), person("Anna's former partner")),
        (person("Mr. Patel"), person("Mrs. Patel")),
        (person("Ms Smith"), person("Mr Smith")),
        (Ref(name="Jordan", type="person"), Ref(name="Jordan", type="country")),
        (Ref(name="Boeing 737-800"), Ref(name="Boeing 737-900")),
        (Ref(name="Marathon 2022 Berlin"), Ref(name="Marathon 2023 Berlin")),
        (Ref(name="first violin concert"), Ref(name="second violin concert")),
        (Ref(name="desert"), Ref(name="dessert")),
        (Ref(name="cello lesson"), Ref(name="violin lesson")),
    ],
)
def test_two_things_under_like_names(told, one, other):
    assert not same(told, one, other)


def test_a_short_form_that_fits_two_people_is_a_third(told):
    christopher, christina = told(person("Christopher")), told(person("Christina"))
    assert told(person("Chris"))[0] not in christopher + christina


def test_speakers_are_never_taken_for_others(told):
    elizabeth = told(person("Elizabeth"), speaker="Elizabeth")
    assert told(person("Liz"), speaker="Liz") != elizabeth
    assert told(person("Elizabeth"), speaker="Ben") == elizabeth


def test_speakers_named_by_their_part_are_told_apart_by_user(told):
    ann, bob = (told(person("user"), speaker="user", user_id=name) for name in ("ann", "bob"))
    assert ann != bob
    assert told(person("user"), speaker="user", user_id="ann") == ann
    assert told(person("user"), speaker="user") not in (ann, bob)


def test_names_of_one_memory_become_one_entity(told):
    assert len(set(told(person("Ana"), Ref(name="Ana"), person("ana")))) == 1


def test_an_entity_of_ten_thousand_names_is_found_fast(service, told):
    from memos.protocols import EntityMention, Reading

    (ana,) = told(person("Ana"))

    def look():
        service.resolver.forget(told.cube.id)  # as a process that has not seen it yet
        assert told(person("Ana 76")) == [ana]
        assert told(person("Anastasia")) != [ana]

    def name(numbers):
        memory = told.memory
        names = tuple(EntityMention(ana, f"Ana {n}", f"ana {n}", 0, 0) for n in numbers)
        reading = Reading(memory.id, memory.version, "test-1", names)
        service.stores.graph.record(told.cube.id, [], [reading])

    name(range(100))
    look()
    few = calls(look)
    name(range(10_000))
    many = calls(look)
    # A statement for each, or a comparison of each with all, would be a hundred times as many.
    assert many < few + 5 * 10_000


def lives(object="Porto", subject="Ana", **more) -> Claim:
    return Claim(
        subject=person(subject),
        predicate="lives_in",
        object=Ref(name=object, type="place"),
        **more,
    )


def year(number: int) -> Period:
    start = datetime(number, 1, 1, tzinfo=timezone.utc)
    return Period(start=start, end=start.replace(year=number + 1), granularity=Granularity.YEAR)


SAID = datetime(2023, 6, 1, tzinfo=timezone.utc)


def test_times_of_claims(told):
    told(
        claims=(
            lives(),
            lives(since=year(2020)),
            lives(until=year(2022)),
            lives(until=year(2025)),
            lives(since=year(2020), until=year(2020)),
            lives(corrects=True, replaces="Porto"),
            replace(lives("Rome"), predicate="visited"),
        ),
        occurred_at=SAID,
    )
    found = [
        (a.valid_at and a.valid_at.year, a.granularity, a.invalid_at and a.invalid_at.year)
        for a in told.reading.assertions
    ]
    assert found == [
        (2023, None, None),
        (2020, Granularity.YEAR, None),
        (None, None, 2022),
        (2023, None, 2025),
        (2020, Granularity.YEAR, 2021),
        (None, None, None),
        (2023, None, None),
    ]
    porto = told.reading.assertions[0].object_id
    assert told.reading.assertions[5].replaces == porto


@pytest.mark.parametrize(
    "wrong",
    [
        lives(since=year(2022), until=year(2020)),
        lives("Ana", subject="Ana's"),
        lives("x" * 1_000_000),
        lives(subject="x" * 300),
        lives(confidence=float("nan")),
        lives(confidence=1.5),
        lives("   "),
        replace(lives(), object=None, value="y" * 20_000),
        replace(lives(), object=None, value="3", quantity=float("inf")),
        replace(lives(), predicate="!!!"),
        replace(lives(), object=None, value="a\x00b"),
    ],
)
def test_a_claim_that_can_not_be_is_left_out_and_the_others_kept(told, wrong):
    if wrong.object is not None and wrong.object.name == "Ana":
        wrong = replace(wrong, object=person("Ana"))
    told(claims=(wrong, lives("Faro")))
    assert len(told.reading.assertions) == 1
    assert told.reading.error is None
    told(claims=(wrong,))
    assert told.reading.assertions == ()
    assert told.reading.error


def test_the_same_claim_read_again_has_the_same_id(service, told):
    told(claims=(lives(), lives()), text="I live in Porto, I live in Porto")
    first = told.reading
    assert len({item.id for item in first.assertions}) == 2
    found = Extraction(claims=(lives(), lives()))
    _, (again,) = service.resolver.resolve(told.cube, [(told.memory, found)], extractor="test-2")
    assert [item.id for item in again.assertions] == [item.id for item in first.assertions]


def test_ids_of_like_claims_sort_by_what_they_say(told):
    told(claims=(lives("Porto"),))
    porto = told.reading.assertions[0].id
    told(claims=(lives("Faro"),))
    faro = told.reading.assertions[0].id
    told(claims=(lives("Porto"),))
    assert told.reading.assertions[0].id[:9] == porto[:9] != faro[:9]
    assert told.reading.assertions[0].id != porto


def test_likeness_alone():
    assert misspelt("philharmonie", "philarmonie", person=False)
    assert not misspelt("anna", "hanna", person=True)
    assert same_plural("city", "cities")
    assert not same_plural("glass", "glas")
    assert short_for("bob", "robert miller")
    assert not short_for("bob", "roberta miller")
    assert same_meaning("photo of a red fox", "red fox photo", 0.95)
    assert not same_meaning("photo of a red fox", "photo of a blue fox", 0.99)
    assert not same_meaning("red fox photo", "photo of a red fox", 0.5)
