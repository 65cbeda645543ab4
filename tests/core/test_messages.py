from datetime import datetime, timedelta, timezone

import pytest

from memos.errors import InvalidInput
from memos.messages import Defaults, as_fact, as_facts, as_items, in_parts, normalise, read_time
from memos.types import Granularity, Image, Kind, Message, NewFact, NewMemory

NOON = datetime(2024, 2, 29, 12, tzinfo=timezone.utc)


def test_a_string_is_an_episodic_memory():
    new = normalise("hello", Defaults())
    assert (new.content, new.kind) == ("hello", Kind.EPISODIC)


def test_a_message_keeps_who_when_where_and_its_images():
    new = normalise(
        Message(
            content="look",
            role="user",
            speaker="Ada",
            at=NOON,
            place="Turin",
            images=(Image(caption="a red kite"),),
            external_id="D1:3",
        ),
        Defaults(session_id="s1"),
    )
    assert (new.speaker, new.occurred_at, new.place) == ("Ada", NOON, "Turin")
    assert new.images[0].caption == "a red kite"
    assert new.provenance.external_id == "D1:3"
    assert new.metadata == {"role": "user"}
    assert new.session_id == "s1"


def test_without_a_name_the_role_speaks():
    assert normalise(Message(content="x", role="assistant"), Defaults()).speaker == "assistant"


def test_what_an_item_says_itself_wins_over_the_defaults():
    defaults = Defaults(user_id="u", place="Rome", metadata={"a": 1, "b": 1}, priority=0.9)
    new = normalise(NewMemory(content="x", place="Oslo", metadata={"b": 2}), defaults)
    assert (new.user_id, new.place, new.priority) == ("u", "Oslo", 0.9)
    assert new.metadata == {"a": 1, "b": 2}


def test_times_become_utc():
    local = datetime(2024, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    new = normalise(NewMemory(content="x", occurred_at=local), Defaults())
    assert new.occurred_at == local
    assert new.occurred_at.isoformat() == "2024-02-29T23:30:00+00:00"


def test_a_naive_default_time_is_refused():
    with pytest.raises(InvalidInput, match="no time zone"):
        normalise("x", Defaults(occurred_at=datetime(2024, 1, 1)))


@pytest.mark.parametrize("wrong", [7, None, b"bytes", {"content": "x"}])
def test_what_is_no_memory_is_refused(wrong):
    with pytest.raises(InvalidInput, match="give it"):
        normalise(as_items(wrong)[0], Defaults())


def test_parts_keep_order_and_are_taken_lazily():
    seen = []

    def source():
        for n in range(5):
            seen.append(n)
            yield str(n)

    parts = in_parts(source(), 2)
    assert next(parts) == ["0", "1"]
    assert seen == [0, 1]
    assert list(parts) == [["2", "3"], ["4"]]


@pytest.mark.parametrize(
    ("text", "moment", "granularity"),
    [
        ("2023", "2023-01-01T00:00:00+00:00", "year"),
        ("2023-05", "2023-05-01T00:00:00+00:00", "month"),
        ("2024-02-29", "2024-02-29T00:00:00+00:00", "day"),
        ("2023-05-01T18:30:00Z", "2023-05-01T18:30:00+00:00", "second"),
        (" 2023-05-01T01:30:00+02:00 ", "2023-04-30T23:30:00+00:00", "second"),
    ],
)
def test_a_time_in_a_text_is_its_start_in_utc(text, moment, granularity):
    found, exactness = read_time("valid_at", text)
    assert (found.isoformat(), exactness.value) == (moment, granularity)


@pytest.mark.parametrize("text", ["May", "", "2023-02-29", "2023-13", "0000", "23", "1.5.2023"])
def test_a_text_that_is_no_time_is_refused(text):
    with pytest.raises(InvalidInput, match="valid_at is"):
        read_time("valid_at", text)


def test_a_text_without_a_zone_is_told_to_add_one():
    with pytest.raises(InvalidInput, match="T18:30:00Z"):
        read_time("valid_at", "2023-05-01T18:30:00")


def test_a_fact_of_an_object_is_the_same_as_a_new_fact():
    made = as_fact(
        {"subject": "Ana", "predicate": "lives_in", "object": "Porto", "valid_at": "2023"}
    )
    assert made == NewFact(
        subject="Ana",
        predicate="lives_in",
        object="Porto",
        valid_at=datetime(2023, 1, 1, tzinfo=timezone.utc),
        granularity=Granularity.YEAR,
    )
    exact = {"subject": "a", "predicate": "b", "valid_at": "2023", "granularity": "decade"}
    assert as_fact(exact).granularity is Granularity.DECADE


def test_times_of_facts_become_utc():
    local = datetime(2024, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    made = as_fact(NewFact(subject="a", predicate="b", valid_at=local))
    assert made.valid_at.isoformat() == "2024-02-29T23:30:00+00:00"


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"predicate": "b"}, "fact 1: it has no subject"),
        ({"subject": "a"}, "fact 1: it has no predicate"),
        ({"subject": "a", "predicate": "b", "obejct": "c"}, "unknown field obejct"),
        ({"subject": "a", "predicate": "b", "valid_at": "soon"}, "valid_at is 'soon'"),
        ({"subject": "a", "predicate": "b", "valid_at": 2023}, "valid_at is a int"),
        ({"subject": "a", "predicate": "b", "granularity": "eon"}, "granularity is 'eon'"),
        (NewFact(subject="a", predicate="b", valid_at=datetime(2024, 1, 1)), "no time zone"),
        ("a b c", "it is a str"),
    ],
)
def test_a_fact_that_can_not_be_used_is_named_by_its_number(wrong, complaint):
    good = {"subject": "Ana", "predicate": "likes", "object": "trams"}
    with pytest.raises(InvalidInput, match=complaint) as caught:
        as_facts([good, wrong])
    assert caught.value.details["fact"] == 1


@pytest.mark.parametrize(
    "wrong", ["text", {"subject": "a"}, NewFact(subject="a", predicate="b"), 7]
)
def test_facts_come_as_a_list(wrong):
    with pytest.raises(InvalidInput, match="give it a list"):
        as_facts(wrong)
