from datetime import datetime, timedelta, timezone

import pytest

from memos.errors import InvalidInput
from memos.messages import Defaults, as_items, in_parts, normalise
from memos.types import Image, Kind, Message, NewMemory

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
