from datetime import datetime, timezone

import pytest

from memos.errors import InvalidInput
from memos.types import Image, Kind, NewMemory, Page, Provenance
from memos.wire import from_builtins, from_json, to_builtins, to_json

FULL = NewMemory(
    content="ħéllo",
    kind=Kind.CORE,
    occurred_at=datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=timezone.utc),
    images=(Image(url="u", caption="c"),),
    metadata={"a": [1, None, {"b": True}]},
    provenance=Provenance(parents=("p",)),
)


def test_json_there_and_back_is_the_same():
    assert from_json(to_json(FULL), NewMemory) == FULL
    assert from_builtins(to_builtins(FULL), NewMemory) == FULL


def test_generic_types_come_back_typed():
    page = from_json(to_json(Page(items=(FULL,), next_cursor="x")), Page[NewMemory])
    assert page.items == (FULL,)


def test_fields_of_a_newer_version_are_passed_over():
    assert from_builtins({"content": "x", "mood": 1}, NewMemory).content == "x"


@pytest.mark.parametrize("text", ["{", '{"content": 5}', '{"content": "x", "kind": "odd"}', "[]"])
def test_what_does_not_fit_is_refused(text):
    with pytest.raises(InvalidInput, match="NewMemory"):
        from_json(text, NewMemory)
