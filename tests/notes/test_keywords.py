"""Keywords are the rare words and phrases of a text, as written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memos.notes.keywords import LIMIT, choose, phrases
from memos.retrieval.reading.analysis import QUESTION, analyze

COMMON = {"class", "person", "read", "book"}


def idf(term: str) -> float:
    return 1.0 if term in COMMON else 5.0


def words(text: str, **how) -> list[str]:
    return [" ".join(phrase.words) for phrase in phrases(text, **how)]


def test_phrases_are_runs_between_stop_words_and_marks():
    assert words("I joined Anna's pottery class in Bern, and bought a blue clay bowl.") == [
        "joined Anna",
        "pottery class",
        "Bern",
        "bought",
        "blue clay bowl",
    ]


def test_small_talk_has_no_phrases():
    assert words("Hey! Thanks so much, that's really awesome. I can't wait, don't you?") == []


def test_whom_a_turn_addresses_is_left_out():
    assert words("Thanks Anna, the kiln exploded", skip=frozenset({"anna"})) == ["kiln exploded"]


def test_rare_comes_before_common_and_names_before_all():
    found = phrases("people read a book about volcanoes in the class")
    assert choose(found, idf)[0] == "volcanoes"
    assert choose(found, idf, named=["Etna"])[0] == "Etna"
    assert choose(found, idf, shown=phrases("glowing lava"))[-1] != "volcanoes"


def test_what_a_caption_shows_counts_less_than_what_is_said():
    said, shown = phrases("a volcano"), phrases("a mountain")
    assert choose(said, idf, shown=shown) == ("volcano", "mountain")
    assert choose(shown, idf, shown=said) == ("mountain", "volcano")


def test_nothing_is_said_twice_and_little_at_all():
    text = "pottery class. Pottery! classes, pots " + " ".join(f"word{i} ." for i in range(20))
    chosen = choose(phrases(text), idf)
    assert len(chosen) == LIMIT
    assert sum("otter" in keyword for keyword in chosen) <= 1


@given(st.text(max_size=300))
def test_keywords_of_any_text_stand_in_it(text):
    found = phrases(text)
    chosen = choose(found, idf)
    assert chosen == choose(found, idf)
    terms = set(analyze(text)) - {QUESTION}
    assert len(chosen) <= LIMIT
    for phrase in found:
        for word in phrase.words:
            assert word in text
    assert not chosen or terms or not text.isascii()
