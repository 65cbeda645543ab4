import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memos.graph.resolving.names import normal
from memos.graph.resolving.nicknames import full_forms, may_be_same


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        (["The Beatles", "beatles", " THE  beatles "], "beatles"),
        (["Zürich", "Zurich", "Zu\u0308rich"], "zurich"),
        (["Dr. O'Brien's", "o’brien", "OBrien"], "obrien"),
        (["J.R.R. Tolkien", "JRR Tolkien"], "jrr tolkien"),
        (["AT&T", "AT and T"], "at and t"),
        (["James's", "James'", "James"], "james"),
        (["ＡＢＣ", "abc"], "abc"),
        (["Straße", "strasse"], "strasse"),
    ],
)
def test_spellings_of_one_name(names, folded):
    assert {normal(name) for name in names} == {folded}


@pytest.mark.parametrize(
    "names",
    [
        ["C", "C++", "C#"],
        ["3.5", "35", "-35", "3/5"],
        ["5", "5%", "$5"],
        ["The The", "The Who"],
        ["Jon", "John"],
        ["か", "が"],
    ],
)
def test_names_that_stay_apart(names):
    assert len({normal(name) for name in names}) == len(names)


def test_what_is_all_punctuation_or_article_stays_a_name():
    assert [normal(name) for name in ("!!!", "..", "The", "A", "¨")] == [
        "!!!",
        "..",
        "the",
        "a",
        "¨",
    ]
    assert normal(" \t") == ""


ODD = st.sampled_from("aAsS'’.& -5%theİßſﬁ\u0301дж") | st.characters(exclude_categories=["Cs"])


@given(st.text(ODD, max_size=12))
@example("ſ's")
@example("the the a")
@example("x's's")
@settings(max_examples=1000, deadline=None)
def test_folding_twice_is_folding_once_and_nothing_vanishes(name):
    assert normal(normal(name)) == normal(name)
    assert bool(normal(name)) == bool(name.strip())


@pytest.mark.parametrize("part", ["x.'", "the ", "é", "a.b.", "'s"])
def test_a_name_of_a_megabyte_is_folded_in_linear_time(part):
    start = time.process_time()
    normal(part * (1_000_000 // len(part)))
    assert time.process_time() - start < 20


def test_short_forms():
    assert may_be_same("liz", "elizabeth")
    assert may_be_same("elizabeth", "beth")
    assert not may_be_same("liz", "beth")
    assert not may_be_same("jon", "john")
    assert full_forms("chris") >= {"christopher", "christina"}
    assert full_forms("ana") == {"ana"}
