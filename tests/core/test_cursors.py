import pytest
from hypothesis import given
from hypothesis import strategies as st

from memos.errors import InvalidCursor
from memos.service.cursors import decode, encode


@given(st.text(max_size=40), st.from_regex(r"[0-9A-Z]{1,26}", fullmatch=True))
def test_a_cursor_comes_back_as_its_place(listing, place):
    assert decode(listing, encode(listing, place)) == place


@given(st.text(max_size=60))
def test_any_other_text_is_refused(text):
    with pytest.raises(InvalidCursor):
        decode("listing", text)


def test_a_cursor_of_another_listing_is_refused():
    with pytest.raises(InvalidCursor, match="same filters"):
        decode("b", encode("a", "17"))
