from concurrent.futures import ThreadPoolExecutor

import pytest

from memos.retrieval.reading.analysis import analyze, fold, text_of
from memos.types import Image, NewMemory


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Running runs RUN ran", ["run", "run", "run", "run"]),
        ("Anna's cat didn't eat", ["anna", "cat", "eat"]),
        ("Anna’s", ["anna"]),
        ("can't won't don't we'll", []),
        ("she won the race", ["win", "race"]),
        ("room 101, 3.5 km", ["room", "101", "3", "5", "km"]),
        ("the of and", []),
        ("!!! --- §§", []),
        ("", []),
        ("Where is it?", ["?"]),
        ("Did you swim? Yes", ["swim", "yes"]),
        ("ﬁne Ⅳ", ["fine", "iv"]),
        ("ÉCOLE Straße", ["école", "strass"]),
        ("我喜欢猫", ["我喜", "喜欢", "欢猫"]),
        ("mice children went", ["mous", "child", "go"]),
        ("' OR 1=1; DROP TABLE memory --", ["1", "1", "drop", "tabl", "memori"]),
    ],
)
def test_terms(text, terms):
    assert analyze(text) == terms


def test_captions_are_part_of_the_text():
    new = NewMemory(content="Look!", images=(Image(caption="a red bike"), Image(url="x")))
    assert text_of(new) == "Look! a red bike"


def test_many_threads_agree():
    texts = [f"running {i} children's stories happily" for i in range(300)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(analyze, texts)) == [analyze(text) for text in texts]


def test_fold_makes_phrases_comparable():
    assert fold("  Nothing\n is  ’Impossible’ ") == "nothing is 'impossible'"
