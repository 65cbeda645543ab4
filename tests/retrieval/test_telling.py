"""What a text tells: its length without talk, names, and the times it speaks of."""

from datetime import datetime, timezone

import numpy as np
import pytest

from memos.retrieval.reading.analysis import QUESTION, indexed
from memos.retrieval.reading.telling import MOST_TIMES, Telling, Tellings, marked, telling, unmarked
from memos.types import Image, NewMemory

SAID = datetime(2024, 6, 15, 12, tzinfo=timezone.utc)  # a Saturday


def days(moment: str) -> int:
    return int(np.datetime64(moment, "D").astype(int))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("I sold the boat.", 16),
        ("I sold the boat. Do you miss it?", 16),
        ("Wow, that is great! I sold the boat.", 16),
        ("Thanks! You are so kind.", 16),
        ("Hello there. How are you?", 0),
        ("That’s lovely.", 0),
        ("", 0),
        ("???", 0),
        ("我卖了船", 4),
    ],
)
def test_only_what_asserts_counts(text, told):
    assert telling(text, SAID).told == told


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("We met Anna and Bo in Oslo", 3),
        ("Anna met us", 0),
        ("nothing of a name", 0),
        ("On the way, Berlin. Then home", 1),
    ],
)
def test_names_are_words_with_a_capital_within_a_sentence(text, names):
    assert telling(text, SAID).names == names


def test_times_are_resolved_by_when_it_was_said():
    assert telling("We moved last month", SAID).spoken == (
        (days("2024-05-01"), days("2024-06-01")),
    )
    assert telling("We moved yesterday", SAID).spoken == ((days("2024-06-14"), days("2024-06-15")),)
    assert telling("We moved yesterday", None).spoken == ()
    assert telling("We moved", SAID).spoken == ()
    many = "in May 2021, in June 2021, in July 2021 and in August 2021 we sailed"
    assert len(telling(many, SAID).spoken) == MOST_TIMES


@pytest.mark.parametrize(
    "found",
    [
        Telling(told=0, names=0),
        Telling(told=12, names=3, spoken=((-5, 7), (19_000, 2_000_000))),
    ],
)
@pytest.mark.parametrize("terms", ["", "?", "dog bark", "dog bark ?"])
def test_the_mark_comes_off_as_it_went_on(terms, found):
    assert unmarked(marked(terms, found)) == (terms, found)


def test_terms_of_an_older_analyser_are_taken_as_they_are():
    assert unmarked("dog bark ?") == ("dog bark ?", Telling(told=18, names=0))
    assert unmarked("") == ("", Telling(told=0, names=0))


def test_captions_are_searched_but_tell_nothing():
    memory = NewMemory(content="Look!", images=(Image(caption="a dog in Rome"),), occurred_at=SAID)
    terms, found = unmarked(indexed(memory))
    assert terms.split() == ["look", "dog", "rome"]
    assert found == Telling(told=5, names=0)
    asked = NewMemory(content="Did you sail last month?", occurred_at=SAID)
    terms, found = unmarked(indexed(asked))
    assert terms.endswith(QUESTION)
    assert (found.told, len(found.spoken)) == (0, 1)


def test_a_row_used_again_keeps_nothing_of_the_former():
    columns = Tellings()
    rows = np.array([3, 70])
    columns.put(rows, [Telling(5, 1, ((1, 2), (3, 4))), Telling(6, 0)])
    assert columns.spoken[3].tolist() == [[1, 2], [3, 4], [0, 0]]
    assert columns.told[rows].tolist() == [5, 6]
    columns.put(np.array([3]), [Telling(7, 0, ((8, 9),))])
    assert columns.spoken[3].tolist() == [[8, 9], [0, 0], [0, 0]]
    assert columns.nbytes > 0
