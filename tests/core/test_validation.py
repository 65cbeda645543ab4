from datetime import datetime, timedelta, timezone

import pytest

from memos.config import load
from memos.errors import InvalidInput, PayloadTooLarge
from memos.types import Image, NewFact, NewMemory
from memos.validation import check_cube_name, check_fact, check_memory, to_utc

SETTINGS = load({}, max_content_chars=1000, max_metadata_bytes=200)
DEEP: dict = {}
for _ in range(40):
    DEEP = {"d": DEEP}


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"content": ""}, "empty"),
        ({"content": " \n\t "}, "empty"),
        ({"content": "a\x00b"}, "NUL"),
        ({"content": "a\ud800b"}, "surrogate"),
        ({"content": 5}, "must be a string"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "x" * 513}, "512"),
        ({"speaker": "a\x00"}, "speaker"),
        ({"priority": 1.5}, "from 0 to 1"),
        ({"priority": float("nan")}, "priority"),
        ({"priority": True}, "priority"),
        ({"occurred_at": datetime(2024, 1, 1)}, "no time zone"),
        ({"occurred_at": "yesterday"}, "must be a time"),
        (
            {"occurred_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=3)))},
            "outside the years",
        ),
        ({"metadata": {"x": float("inf")}}, "JSON can't hold"),
        ({"metadata": {"x": {1, 2}}}, "JSON values only"),
        ({"metadata": {"x": 2**64}}, "64 bits"),
        ({"metadata": {3: "x"}}, "must be a string"),
        ({"metadata": ["x"]}, "must be an object"),
        ({"metadata": DEEP}, "nested deeper"),
        ({"metadata": {"x": "a\x00"}}, "NUL"),
        ({"images": (Image(caption="a\ud800"),)}, "caption"),
    ],
)
def test_bad_input_is_named(fields, match):
    with pytest.raises(InvalidInput, match=match):
        check_memory(NewMemory(**{"content": "fine", **fields}), SETTINGS)


def test_an_image_with_a_caption_is_enough():
    check_memory(NewMemory(content="", images=(Image(caption="a cat"),)), SETTINGS)
    with pytest.raises(InvalidInput, match="empty"):
        check_memory(NewMemory(content="", images=(Image(url="http://x/y.png"),)), SETTINGS)


def test_size_limits_name_the_setting():
    with pytest.raises(PayloadTooLarge, match="MEMOS_MAX_CONTENT_CHARS"):
        check_memory(NewMemory(content="x" * 1001), SETTINGS)
    with pytest.raises(PayloadTooLarge, match="MEMOS_MAX_METADATA_BYTES"):
        check_memory(NewMemory(content="x", metadata={"k": "v" * 300}), SETTINGS)


@pytest.mark.parametrize("name", ["a", "team.one", "x-y_z", "9", "A" * 128])
def test_cube_names(name):
    check_cube_name(name)


@pytest.mark.parametrize("name", ["", ".a", "a/b", "a b", "-a", "A" * 129, "é", "a\n"])
def test_what_can_not_name_a_cube(name):
    with pytest.raises(InvalidInput):
        check_cube_name(name)


def test_utc_of_the_same_moment():
    local = datetime(2024, 3, 10, 1, tzinfo=timezone(timedelta(hours=-5)))
    assert to_utc(local) == local
    assert to_utc(local).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"subject": None}, "subject is a NoneType"),
        ({"subject": " "}, "subject is empty"),
        ({"subject": "x" * 1_000_000}, "512"),
        ({"predicate": ""}, "predicate is empty"),
        ({"predicate": "a\x00"}, "NUL"),
        ({"subject_type": ""}, "subject_type is empty"),
        ({"object": None}, "object is missing"),
        ({"object": "  "}, "object is empty"),
        ({"object": "a\ud800"}, "surrogate"),
        ({"object": float("nan")}, "JSON can't hold"),
        ({"object": 2**64}, "64 bits"),
        ({"object": ["x"]}, "object is a list"),
        ({"negated": "no"}, "true or false"),
        ({"confidence": 1.1}, "from 0 to 1"),
        ({"place": "x" * 513}, "512"),
        ({"valid_at": "2023"}, "must be a time"),
        ({"valid_at": datetime(2023, 1, 1)}, "no time zone"),
        (
            {
                "valid_at": datetime(2023, 1, 2, tzinfo=timezone.utc),
                "invalid_at": datetime(2023, 1, 1, tzinfo=timezone.utc),
            },
            "before valid_at",
        ),
    ],
)
def test_a_fact_that_can_not_be_kept_is_refused(fields, match):
    given = {"subject": "Ana", "predicate": "lives_in", "object": "Porto", **fields}
    with pytest.raises(InvalidInput, match=match) as caught:
        check_fact(NewFact(**given), SETTINGS, at="fact 3: ")
    assert str(caught.value).startswith("fact 3: ")


def test_a_long_value_of_a_fact_has_the_limit_of_a_text():
    fact = NewFact(subject="Ana", predicate="said", object="x" * 1001)
    with pytest.raises(PayloadTooLarge, match="1001 characters"):
        check_fact(fact, SETTINGS)


@pytest.mark.parametrize(
    "fields",
    [{"object": 7}, {"object": 2.5}, {"object": False}, {"object": None, "negated": True}],
)
def test_what_a_fact_can_say(fields):
    check_fact(NewFact(**{"subject": "Ana", "predicate": "counts", **fields}), SETTINGS)
