from datetime import datetime, timedelta, timezone

import pytest

from memos.config import load
from memos.errors import InvalidInput, PayloadTooLarge
from memos.types import Image, NewMemory
from memos.validation import check_cube_name, check_memory, to_utc

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
