"""What says the same, and what must never be taken for it."""

from __future__ import annotations

import numpy as np
import pytest

from memos.consolidation.neighbours import near_pairs
from memos.consolidation.wording import agree, compatible, wording

SAME = [
    ("I live at twenty one Oak St.", "Oh, by the way, I live at 21 Oak street!"),
    ("I do not like tea", "I don't like tea."),
    ("My mother plays the violin", "My mom plays the voilin"),
    ("I can't come on Friday.", "Well, I can not come on Friday"),
]
OTHER = [
    ("I live at 12 Oak street", "I live at 21 Oak street"),
    ("I like tea", "I don't like tea"),
    ("I lived in Porto", "I live in Porto"),
    ("I want to move to Porto", "I move to Porto"),
    ("Marta lives in Porto", "Maria lives in Porto"),
    ("Ana likes Bo", "Bo likes Ana"),
    ("My favourite colour is blue", "My favourite colour is red"),
    ("The shop opens before nine", "The shop opens after nine"),
    ("You live in Porto.", "You live in Porto?"),
    ("The train leaves at 9:40", "The train leaves at 9:04"),
    ("I will call on Monday", "I will call on Tuesday"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_fillers_spelling_and_slips_make_no_difference(one: str, other: str) -> None:
    assert agree(wording(one), wording(other))


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_what_changes_the_meaning_does(one: str, other: str) -> None:
    assert not agree(wording(one), wording(other))


def test_statements_of_the_same_fact_may_not_differ_in_numbers_or_negation() -> None:
    assert compatible(wording("I live in Porto now"), wording("I'm living in Porto"))
    assert not compatible(wording("I live in Porto 2"), wording("I live in Porto 3"))
    assert not compatible(wording("I live in Porto"), wording("I never live in Porto"))


def test_near_pairs_are_found_and_none_is_wrong() -> None:
    chance = np.random.default_rng(0)
    base = chance.standard_normal((2000, 64)).astype(np.float32)
    twins = base[:200] + 0.15 * chance.standard_normal((200, 64)).astype(np.float32)
    vectors = np.concatenate([base, twins])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs, cosines = near_pairs(vectors, cosine=0.9)
    exact = {tuple(pair) for pair in np.argwhere(np.triu(vectors @ vectors.T >= 0.9, 1)).tolist()}
    found = {tuple(pair) for pair in pairs.tolist()}
    assert found <= exact
    assert len(found) >= 0.95 * len(exact) >= 150
    assert (cosines >= 0.9 - 1e-6).all()
