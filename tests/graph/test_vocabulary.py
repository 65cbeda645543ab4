"""The built-in predicates and types, and a cube's own beside them."""

import pytest

from memos.graph.vocabulary import (
    ALIASES,
    BUILTIN_PREDICATES,
    BUILTIN_TYPES,
    Vocabulary,
)
from memos.types import EntityType, PredicateType

VOCABULARY = Vocabulary()


def test_built_in_names_are_unique_and_hang_together() -> None:
    predicates = [p.name for p in BUILTIN_PREDICATES]
    types = {t.name for t in BUILTIN_TYPES}
    assert len(set(predicates)) == len(predicates)
    assert set(ALIASES.values()) <= set(predicates)
    assert not set(ALIASES) & set(predicates)
    for predicate in BUILTIN_PREDICATES:
        assert set(predicate.subject_types) | set(predicate.object_types) <= types
        assert not (predicate.functional and predicate.event), predicate.name
    for type in BUILTIN_TYPES:
        assert type.parent is None or type.parent in types


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("lives_in", "lives_in"),
        ("Lives in", "lives_in"),
        ("works-for", "works_at"),
        ("married to", "partner_of"),
        ("favorite color", "favourite_colour"),
        ("Favourite_Book", "favourite_book"),
        ("is mayor of", "is_mayor_of"),
        ("", ""),
    ],
)
def test_a_predicate_has_one_name(name: str, canonical: str) -> None:
    assert VOCABULARY.canonical(name) == canonical
    assert VOCABULARY.canonical(canonical) == canonical


def test_time_bears_on_predicates_as_they_say() -> None:
    assert VOCABULARY.predicate("lives in").functional
    assert not VOCABULARY.predicate("likes").functional
    assert VOCABULARY.predicate("visited").event
    assert VOCABULARY.predicate("favorite dish").functional
    unknown = VOCABULARY.predicate("is mayor of")
    assert unknown == PredicateType(name="is_mayor_of")
    assert not VOCABULARY.knows("is mayor of")
    assert VOCABULARY.knows("favourite colour")


def test_a_cubes_own_take_the_place_of_built_in_ones() -> None:
    own = Vocabulary(
        [PredicateType(name="likes", functional=True), PredicateType(name="mayor_of", event=True)],
        [EntityType(name="wizard", parent="person")],
    )
    assert own.predicate("likes").functional
    assert own.predicate("Mayor of").event
    assert own.compatible("wizard", "person")
    assert not own.compatible("wizard", "place")
    assert len(own.predicates) == len(BUILTIN_PREDICATES) + 1
    assert not VOCABULARY.predicate("likes").functional


@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [
        ("person", "person", True),
        ("city", "place", True),
        ("thing", "person", True),
        ("spell", "person", False),
        ("spell", "thing", True),
        ("organisation", "place", True),
        ("country", "organisation", True),
        ("person", "place", False),
        ("person", "animal", False),
    ],
)
def test_types_fit_their_kin(first: str, second: str, fits: bool) -> None:
    assert VOCABULARY.compatible(first, second) is fits
    assert VOCABULARY.compatible(second, first) is fits


def test_a_circle_of_types_ends() -> None:
    own = Vocabulary(types=[EntityType(name="a", parent="b"), EntityType(name="b", parent="a")])
    assert own.ancestors("a") == ("a", "b", "thing")
    assert own.compatible("a", "b")
    assert not own.compatible("a", "person")
