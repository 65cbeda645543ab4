"""What holds of every set of assertions, whatever it says."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memos.types import Granularity
from tests.graph.said import HOME, LIKES, RULES, VISITED, day, keep_open, said, true_at

START = day("2020-01-01")
PREDICATES = pytest.mark.parametrize("predicate", [HOME, LIKES, VISITED], ids=lambda p: p.name)


@st.composite
def assertion_sets(draw, most: int = 9):
    found = []
    for i in range(draw(st.integers(0, most))):
        stated = START + timedelta(days=draw(st.integers(0, 60)))
        kind = draw(st.sampled_from(["now", "dated", "dated", "used to", "range", "corrects"]))
        since = until = None
        if kind == "now":
            since = stated
        elif kind in ("dated", "range"):
            since = START + timedelta(days=draw(st.integers(-30, 60)))
        if kind == "range":
            until = since + timedelta(days=draw(st.integers(1, 40)))
        if kind == "used to":
            until = stated
        negated = draw(st.integers(0, 3)) == 0
        names = ["porto", "rome", "oslo"] + [None] * negated
        found.append(
            said(
                f"{i:02}",
                draw(st.sampled_from(names)),
                since,
                on=stated,
                until=until,
                negated=negated,
                corrects=kind == "corrects",
                replaces=draw(st.sampled_from([None, "porto"])) if kind == "corrects" else None,
                grain=draw(st.sampled_from([Granularity.DAY, Granularity.MONTH])),
                memory_id=f"m{draw(st.integers(0, 4))}",
                confidence=draw(st.sampled_from([0.5, 0.9])),
            )
        )
    return found


def days():
    return [START + timedelta(days=n, hours=n % 24) for n in range(-35, 110, 2)]


@PREDICATES
@given(data=st.data(), items=assertion_sets())
@settings(max_examples=80, deadline=None)
def test_the_order_of_arrival_does_not_matter(predicate, data, items):
    shuffled = data.draw(st.permutations(items))
    assert RULES.derive(predicate, items, []) == RULES.derive(predicate, shuffled, [])


@PREDICATES
@given(items=assertion_sets())
@settings(max_examples=80, deadline=None)
def test_stretches_are_well_formed(predicate, items):
    known = {item.id for item in items}
    used = []
    for stretch in RULES.derive(predicate, items, []):
        assert stretch.assertions
        used += stretch.assertions
        if stretch.valid_at and stretch.invalid_at:
            assert stretch.valid_at <= stretch.invalid_at
        assert (stretch.rule is None) == (stretch.invalid_at is None)
        assert stretch.closed_by is None or stretch.closed_by in known
        assert 0 < stretch.confidence <= 1
    assert len(used) == len(set(used))
    assert set(used) <= known
    corrected = any(item.corrects for item in items)
    assert corrected or set(used) == known


@given(items=assertion_sets())
@settings(max_examples=150, deadline=None)
def test_a_functional_predicate_never_has_two_objects(items):
    stretches = RULES.derive(HOME, items, [])
    for at in days():
        affirmed = {name for name, negated in true_at(stretches, items, at) if not negated and name}
        assert len(affirmed) <= 1


@PREDICATES
@given(items=assertion_sets())
@settings(max_examples=100, deadline=None)
def test_nothing_is_affirmed_and_denied_at_once(predicate, items):
    if predicate.event:
        return
    stretches = RULES.derive(predicate, items, [])
    for at in days():
        held = true_at(stretches, items, at)
        assert not {name for name, negated in held if negated} & {
            name for name, negated in held if not negated
        }


@PREDICATES
@given(data=st.data(), items=assertion_sets())
@settings(max_examples=80, deadline=None)
def test_forgetting_restores_what_was_before(predicate, data, items):
    if not items:
        return
    gone = data.draw(st.sampled_from(items))
    rest = [item for item in items if item is not gone]
    archived = [replace(item, active=item is not gone) for item in items]
    assert RULES.derive(predicate, archived, []) == RULES.derive(predicate, rest, [])


@given(items=assertion_sets())
@settings(max_examples=80, deadline=None)
def test_keeping_open_undoes_that_closing_and_revoking_restores_it(items):
    before = RULES.derive(HOME, items, [])
    closed = next((s for s in before if s.closed_by and s.valid_at != s.invalid_at), None)
    if closed is None:
        return
    closer = next(s for s in before if closed.closed_by in s.assertions)
    ruling = keep_open(*closed.assertions, *closer.assertions)
    after = RULES.derive(HOME, items, [ruling])
    same = next(s for s in after if closed.assertions[0] in s.assertions)
    assert same.closed_by != closed.closed_by
    revoked = keep_open(*closed.assertions, *closer.assertions, revoked=True)
    assert RULES.derive(HOME, items, [revoked]) == before


@given(items=assertion_sets())
@settings(max_examples=80, deadline=None)
def test_one_object_alone_has_the_facts_that_it_has_among_others(items):
    plain = [item for item in items if not item.corrects and item.object_id]
    among = RULES.derive(LIKES, plain, [])
    for name in {item.object_id for item in plain}:
        alone = RULES.derive(LIKES, [item for item in plain if item.object_id == name], [])
        ids = {item.id for item in plain if item.object_id == name}
        assert alone == tuple(s for s in among if s.assertions[0] in ids)


@PREDICATES
@given(data=st.data(), items=assertion_sets())
@settings(max_examples=150, deadline=None)
def test_ids_given_on_arrival_decide_nothing_but_who_comes_first_of_the_same(
    predicate, data, items
):
    def view(arrived):
        named = [
            replace(item, id=f"{item.object_id} {item.negated} {number}", memory_id=f"m{number}")
            for number, item in enumerate(arrived)
        ]
        return [
            (s.assertions[0].rsplit(" ", 1)[0], *(getattr(s, field) for field in FIELDS))
            for s in RULES.derive(predicate, named, [])
        ]

    assert view(items) == view(data.draw(st.permutations(items)))


FIELDS = ("valid_at", "granularity", "invalid_at", "invalid_granularity", "rule", "confidence")
