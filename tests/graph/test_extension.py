"""What later statements add is what all statements together amount to."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memos.graph.deriving.statements import LATEST, NEVER
from memos.protocols import Standing, Stretch
from memos.types import Assertion, Granularity, PredicateType
from tests.graph.said import HOME, LIKES, RULES, VISITED, day, said
from tests.graph.test_validity_properties import START, assertion_sets

PREDICATES = pytest.mark.parametrize("predicate", [HOME, LIKES, VISITED], ids=lambda p: p.name)


@st.composite
def later(draw, after: datetime):
    found = []
    for i in range(draw(st.integers(1, 6))):
        stated = after + timedelta(days=draw(st.integers(1, 20)))
        found.append(
            said(
                f"later-{i}",
                draw(st.sampled_from(["porto", "rome", "oslo", "kyiv"])),
                stated,
                negated=draw(st.integers(0, 3)) == 0,
                memory_id=f"m{draw(st.integers(3, 7))}",
                confidence=draw(st.sampled_from([0.5, 0.9, 1.0])),
            )
        )
    return found


def frontier(items: list[Assertion]) -> datetime:
    """After all that was said, and all times that it is of, but ends that are still to come."""
    return max(
        (max(i.stated_at, i.valid_at or i.invalid_at or NEVER) for i in items), default=START
    )


def standing(name: str, one: Stretch, by_id: dict[str, Assertion]) -> Standing:
    lead = by_id[one.assertions[0]]
    return Standing(
        fact_id=name,
        object_id=lead.object_id,
        value=lead.value,
        negated=lead.negated,
        valid_at=one.valid_at,
        granularity=one.granularity,
        invalid_at=one.invalid_at,
        invalid_granularity=one.invalid_granularity,
        rule=one.rule,
        confidence=one.confidence,
        assertions=tuple(by_id[id] for id in one.assertions),
    )


def shape(ids: tuple[str, ...], one: Stretch) -> tuple[object, ...]:
    times = (one.valid_at, one.granularity, one.invalid_at, one.invalid_granularity)
    return (frozenset(ids), *times, one.closed_by, one.rule, one.confidence)


def extended(
    predicate: PredicateType, known: list[Assertion], new: list[Assertion]
) -> set[tuple[object, ...]]:
    by_id = {item.id: item for item in known}
    before = dict(enumerate(RULES.derive(predicate, known, ())))
    first = min(item.valid_at or NEVER for item in new)
    going = [
        standing(str(n), one, by_id)
        for n, one in before.items()
        if (one.invalid_at or LATEST) > first
    ]
    found = {str(n): shape(one.assertions, one) for n, one in before.items()}
    for n, (held, one) in enumerate(RULES.extend(predicate, going, new)):
        if held is None:
            found[f"new {n}"] = shape(one.assertions, one)
        else:
            rests = tuple(item.id for item in held.assertions)
            found[held.fact_id] = shape((*rests, *one.assertions), one)
    return set(found.values())


@PREDICATES
@given(data=st.data(), known=assertion_sets())
@settings(max_examples=120, deadline=None)
def test_what_comes_later_extends_what_is_known_to_what_all_amount_to(predicate, data, known):
    new = data.draw(later(frontier(known)))
    assert all(RULES.plain(predicate, item) for item in new)
    together = RULES.derive(predicate, [*known, *new], ())
    assert extended(predicate, known, new) == {shape(one.assertions, one) for one in together}


def test_what_bears_on_other_times_or_things_is_not_plain():
    stated = day("2024-05-01")
    month = {"on": "2024-05-20", "grain": Granularity.MONTH}
    assert RULES.plain(HOME, said("a", "rome", stated))
    assert not RULES.plain(HOME, said("a", "rome", None, on=stated, until=stated))
    assert not RULES.plain(HOME, said("a", "rome", stated, until="2024-06-01"))
    assert not RULES.plain(HOME, said("a", "rome", stated, corrects=True))
    assert not RULES.plain(HOME, said("a", None, stated, negated=True))
    assert not RULES.plain(HOME, said("a", "rome", stated, **month))
    assert RULES.plain(VISITED, said("a", "rome", stated, **month))
