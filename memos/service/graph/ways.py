"""The verbs that walk through the graph: neighbours, and ways between entities.

In RAM, or hop by hop in SQL; how is the business of `memos.graph.network.walking`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from memos.errors import InvalidInput
from memos.graph.network import walking
from memos.service.graph.base import GraphBase
from memos.types import (
    Cube,
    EntityRef,
    Fact,
    Neighbour,
    Path,
    Step,
)
from memos.validation import (
    check_limit,
)

if TYPE_CHECKING:
    from memos.graph.network.projection import GraphProjection

_Walked = TypeVar("_Walked")


class GraphWays(GraphBase):
    """neighbours, paths."""

    def neighbours(
        self,
        cube: Cube,
        entity: str,
        *,
        hops: int,
        limit: int,
        as_of: datetime | None,
        known_as_of: datetime | None,
    ) -> tuple[Neighbour, ...]:
        """The nearest first, then those with the surest facts."""
        check_limit("limit", limit, self._settings)
        _check_hops("hops", hops)
        one = self._one(cube, entity, known_as_of)
        rings = self._walk(
            cube,
            as_of,
            known_as_of,
            lambda near: walking.neighbours(near, one.id, hops=hops, limit=limit),
        )
        facts = self._by_id(cube, (j for ring in rings for j in ring.facts), known_as_of)
        refs = _refs(facts.values())
        return tuple(
            Neighbour(
                entity=refs[ring.entity_id],
                distance=ring.distance,
                facts=tuple(facts[j.fact_id] for j in ring.facts if j.fact_id in facts),
            )
            for ring in rings
            if ring.entity_id in refs
        )

    def paths(
        self,
        cube: Cube,
        source: str,
        target: str,
        *,
        max_hops: int,
        limit: int,
        as_of: datetime | None,
        known_as_of: datetime | None,
    ) -> tuple[Path, ...]:
        """The surest first; denials connect nothing."""
        check_limit("limit", limit, self._settings)
        _check_hops("max_hops", max_hops)
        start, end = self._one(cube, source, known_as_of), self._one(cube, target, known_as_of)
        ways = self._walk(
            cube,
            as_of,
            known_as_of,
            lambda near: walking.paths(near, start.id, end.id, max_hops=max_hops, limit=limit),
        )
        facts = self._by_id(cube, (joint for way in ways for joint in way), known_as_of)
        refs = _refs(facts.values())
        return tuple(
            _path(way, start.id, facts, refs)
            for way in ways
            if all(joint.fact_id in facts for joint in way)
        )

    def _walk(
        self,
        cube: Cube,
        as_of: datetime | None,
        known: datetime | None,
        walk: Callable[[walking.Near], list[_Walked]],
    ) -> list[_Walked]:
        """In RAM; in SQL where the graph is too large, and for what was believed once."""
        if known is None:
            with self.projections.fresh(cube.id) as projection:
                if projection is not None:
                    return walk(_in_ram(projection, as_of))

        def near(ids: Sequence[str], most: int) -> Iterator[walking.Joint]:
            rows = self._store.around(
                cube.id, ids, hops=1, as_of=as_of, known_as_of=known, limit=most
            )
            for _, fact in rows:
                if fact.object is not None and not fact.negated:
                    yield walking.Joint(fact.id, fact.subject.id, fact.object.id, fact.confidence)

        return walk(near)

    def _by_id(
        self, cube: Cube, joints: Iterable[walking.Joint], known: datetime | None
    ) -> dict[str, Fact]:
        ids = list(dict.fromkeys(joint.fact_id for joint in joints))
        if not ids:
            return {}
        return {fact.id: fact for fact in self._all_facts(cube, ids=ids, known_as_of=known)}


def _check_hops(name: str, value: int) -> None:
    if not 1 <= value <= walking.MOST_HOPS:
        raise InvalidInput(
            f"{name} is {value}; it must be from 1 to {walking.MOST_HOPS}", field=name
        )


def _in_ram(projection: GraphProjection, as_of: datetime | None) -> walking.Near:
    def near(ids: Sequence[str], most: int) -> Iterator[walking.Joint]:
        for count, (fact_id, span) in enumerate(projection.around(ids, as_of)):
            if count >= most:
                return
            yield walking.Joint(fact_id, span.subject_id, span.object_id, span.confidence)

    return near


def _path(
    way: Sequence[walking.Joint],
    start: str,
    facts: Mapping[str, Fact],
    refs: Mapping[str, EntityRef],
) -> Path:
    steps, here, confidence = [], start, 1.0
    for joint in way:
        fact, there = facts[joint.fact_id], joint.other(here)
        forward = joint.subject_id == here
        steps.append(Step(source=refs[here], target=refs[there], fact=fact, forward=forward))
        here, confidence = there, confidence * fact.confidence
    return Path(steps=tuple(steps), confidence=confidence)


def _refs(facts: Iterable[Fact]) -> dict[str, EntityRef]:
    found: dict[str, EntityRef] = {}
    for fact in facts:
        found[fact.subject.id] = fact.subject
        if fact.object is not None:
            found[fact.object.id] = fact.object
    return found
