"""What the attribute ruler says, remembered, against the ruler itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from memos.benchmarks.temporal import cases as temporal_cases
from memos.extraction.rules import language
from memos.extraction.rules.classes import WordClasses

ODD = (
    "",
    " ",
    "There 's  a \n\n fire, and there are others.",
    "I doin' \t nothing; y'all gonna do what they did, ain't you?",
    "Do that. She does it, he had had one, they have it and it's theirs.",
)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return language.load()._pipeline


def texts() -> Iterator[str]:
    """Statements about people, and what is seldom written."""
    for case in temporal_cases.read(temporal_cases.CASES)[:80]:
        yield " ".join(text for _, _, text in case.turns)
    yield from ODD


def said(docs: list[Any]) -> list[list[tuple[str, ...]]]:
    return [[(t.tag_, t.pos_, str(t.morph), t.dep_, t.head.i) for t in doc] for doc in docs]


def parsed(pipeline: Any, *apart: str) -> list[Any]:
    return list(pipeline.pipe(texts(), disable=["ner", "lemmatizer", *apart]))


def test_the_first_look_and_every_later_one_say_what_the_ruler_says(pipeline: Any) -> None:
    asked = said(parsed(pipeline))
    classes = WordClasses(pipeline.get_pipe("attribute_ruler"))
    for _ in range(2):
        docs = parsed(pipeline, "attribute_ruler")
        classes.assign(docs)
        assert said(docs) == asked


def test_it_is_asked_once_for_tokens_alike(pipeline: Any) -> None:
    ruler = Counting(pipeline.get_pipe("attribute_ruler"))
    classes = WordClasses(ruler)
    classes.assign(parsed(pipeline, "attribute_ruler"))
    asked = ruler.asked
    assert asked
    classes.assign(parsed(pipeline, "attribute_ruler"))
    assert ruler.asked == asked


def test_a_ruler_that_looks_further_is_asked_every_time(pipeline: Any) -> None:
    ruler = Counting(pipeline.get_pipe("attribute_ruler"))
    wider = {"patterns": [[{"SHAPE": "dd"}]], "attrs": {"POS": "NUM"}, "index": 0}
    ruler.patterns = [*ruler.patterns, wider]
    classes = WordClasses(ruler)
    docs = parsed(pipeline, "attribute_ruler")
    for _ in range(2):
        classes.assign(docs)
    assert ruler.asked == 2 * sum(1 for doc in docs if len(doc))


class Counting:
    """The ruler, and how many documents it was asked about."""

    def __init__(self, ruler: Any) -> None:
        self.vocab = ruler.vocab
        self.patterns = ruler.patterns
        self._ruler = ruler
        self.asked = 0

    def __call__(self, doc: Any) -> Any:
        self.asked += 1
        return self._ruler(doc)
