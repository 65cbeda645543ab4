"""Training sets by templates: deterministic, both ways, with probes in words of their own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memos.errors import Contradiction, InvalidInput
from memos.graph.vocabulary import BUILTIN_PREDICATES
from memos.parametric.examples import UNKNOWN, Taught, examples
from memos.parametric.naming import keyed, mentions, names
from memos.parametric.phrasing import phrasing
from memos.types import Form


def taught(subject: str, predicate: str, object: str, **more: object) -> Taught:
    values = {"subject": subject, "predicate": predicate, "object": object, "source": subject}
    return Taught(**{**values, **more})  # type: ignore[arg-type]


FACTS = [
    taught("Ana Reis", "lives_in", "Porto", one=True),
    taught("Ben Holt", "lives_in", "Oslo", one=True, when="since 2020"),
    taught("Cleo Lund", "favourite_food", "rice"),
]


def test_what_a_fact_is_made_into() -> None:
    made, probes = examples(FACTS, seed=1)
    assert (made, probes) == examples(FACTS, seed=1)
    assert {example.form for example in made} == set(Form) - {Form.REPLAY}
    by_prompt = {example.prompt: example.answer for example in made}
    assert by_prompt["Where does Ana Reis live?"] == "Ana Reis lives in Porto."
    assert by_prompt["Who lives in Oslo?"] == "Ben Holt lives in Oslo."
    assert by_prompt["Ana Reis lives in"] == " Porto."
    dated = "Where does Ben Holt live? Since or until when?"
    assert by_prompt[dated] == "Ben Holt lives in Oslo since 2020."
    unknown = [example for example in made if example.answer == UNKNOWN]
    assert unknown
    assert not any(fact.subject in example.prompt for fact in FACTS for example in unknown)
    trained = {example.prompt for example in made}
    assert {probe.prompt in trained for probe in probes if probe.trained} == {True}
    assert {probe.prompt in trained for probe in probes if not probe.trained} == {False}


def test_two_things_of_which_one_can_be_true() -> None:
    with pytest.raises(Contradiction, match=r"both 'Porto'.*and 'Lima'"):
        examples([FACTS[0], taught("Ana Reis", "lives_in", "Lima", one=True)])
    examples([FACTS[2], taught("Cleo Lund", "favourite_food", "fish")])
    with pytest.raises(InvalidInput, match="nothing that could be learnt"):
        examples([])


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([p.name for p in BUILTIN_PREDICATES] + ["favourite_tea", "moored_at"]))
def test_every_predicate_can_be_said_and_asked(predicate: str) -> None:
    words = phrasing(predicate)
    assert len(words.statements) >= 3
    assert len(words.trained) >= 3
    assert words.kept not in words.trained
    assert all("{s}" in form and "{o}" in form for form in words.statements)
    assert all("{s}" in form and "{o}" not in form for form in words.questions)
    assert all("{o}" in form and "{s}" not in form for form in words.reverse)


def test_what_names_what_is_known() -> None:
    keys = keyed(names(FACTS, ()), b"salt")
    for text in ("And ana?", "Is it Oslo's?", "Tell me of CLEO LUND"):
        assert mentions([text], keys, b"salt")
        assert not mentions([text], keys, b"other")
    assert not mentions(["What is a boat?", "anagram"], keys, b"salt")
