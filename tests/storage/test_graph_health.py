"""What the check finds of damage to the graph done by hand, and what it repairs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from memos.graph.deriving.validity import Rules
from memos.protocols import Stores, Stretch
from memos.storage import open_stores
from memos.types import Assertion, Cube, PredicateType, Ruling
from tests.storage.graph_world import Saying, World, brief, day
from tests.storage.samples import Clock, new_id
from tests.storage.test_health import damage


@pytest.fixture
def world(stores: Stores, cube: Cube, clock: Clock) -> World:
    made = World(stores, cube, clock)
    made.say(Saying("Anna", "lives_in", "Rome", day(0)))
    made.say(Saying("Anna", "lives_in", "Paris", day(100)), Saying("Bob", "likes", '"tea"', day(1)))
    return made


@pytest.mark.parametrize(
    ("statement", "checks"),
    [
        ("DELETE FROM fact", {"graph", "facts"}),
        ("DELETE FROM fact_source", {"graph", "facts"}),
        ("UPDATE fact SET invalid_at = 5 WHERE closed_by IS NOT NULL", {"facts"}),
        ("UPDATE fact SET confidence = 0.1", {"facts"}),
        ("UPDATE assertion SET active = 0", {"facts"}),
        ("DELETE FROM assertion", {"graph"}),
        ("DELETE FROM entity WHERE name = 'Paris'", {"graph"}),
        ("UPDATE cube SET graph_seq = 1", {"graph change numbers"}),
        ("DELETE FROM memory_version; DELETE FROM memory", {"orphans"}),
    ],
)
def test_damage_is_found_and_repaired(
    url: str, world: World, statement: str, checks: set[str]
) -> None:
    health = world.stores.health
    assert health.check(repair=False) == []
    damage(url, *statement.split(";"))
    found = health.check(repair=False)
    assert {finding.check for finding in found} >= checks
    assert {finding.cube_id for finding in found} == {world.cube.id}
    assert not any(finding.repaired for finding in found)
    assert health.check(repair=False) == found
    assert all(finding.repaired for finding in health.check(repair=True))
    # What is repaired may uncover what has to be.
    health.check(repair=True)
    assert health.check(repair=False) == []


def test_a_read_beside_an_erasure_leaves_out_what_is_gone(url: str, world: World) -> None:
    """Each statement of a read sees the tables as they are at its time."""
    damage(url, "DELETE FROM entity WHERE name = 'Rome'")
    assert sorted(str(brief(fact)[2]) for fact in world.facts()) == ["Paris", "tea"]
    anna = [fact.subject.id for fact in world.facts()][:1]
    assert len(world.stores.graph.around(world.cube.id, anna, hops=1)) == 1


def test_facts_are_repaired_to_what_was_said(url: str, world: World) -> None:
    before = world.view()
    damage(url, "DELETE FROM fact WHERE object_id IS NULL", "UPDATE fact SET place = 'nowhere'")
    world.stores.health.check(repair=True)
    assert world.view() == before


class OtherRules(Rules):
    """Rules of a later version, by which nobody moves."""

    @property
    def version(self) -> str:
        return "other-2"

    def derive(
        self,
        predicate: PredicateType,
        assertions: Sequence[Assertion],
        rulings: Sequence[Ruling],
    ) -> tuple[Stretch, ...]:
        return super().derive(PredicateType(name=predicate.name), assertions, rulings)


def test_facts_of_former_rules_are_derived_anew(url: str, world: World, clock: Clock) -> None:
    assert len(world.facts(as_of=day(200))) == 2
    clock.forward(1)
    stores = open_stores(url, new_id=new_id, clock=clock, derivation=OtherRules())
    (finding,) = stores.health.check(repair=False)
    assert (finding.check, finding.count) == ("facts", 1)
    assert "validity" in finding.problem
    (repaired,) = stores.health.check(repair=True)
    assert repaired.repaired
    assert stores.health.check(repair=False) == []
    assert sorted(str(brief(fact)[2]) for fact in world.facts(as_of=day(200))) == [
        "Paris",
        "Rome",
        "tea",
    ]
    (again,) = world.stores.health.check(repair=False)
    assert "other-2" in again.problem
    stores.health.close()
