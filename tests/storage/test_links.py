"""LinkStore: both ends must live, one link per pair and relation."""

from __future__ import annotations

import pytest

from memos.errors import CubeNotFound, InvalidInput, MemoryNotFound, NotFound
from memos.protocols import Stores
from memos.types import Cube, Link, Memory
from tests.storage import samples
from tests.storage.samples import NOTHING, Clock, memory, new_id


@pytest.fixture
def pair(stores: Stores, clock: Clock, cube: Cube) -> tuple[Memory, ...]:
    made = [memory(clock, cube.id), memory(clock, cube.id)]
    return stores.memories.insert(cube.id, made, [NOTHING] * 2)[0]


def link(clock: Clock, source: Memory, target: Memory, **fields: object) -> Link:
    values = {
        "id": new_id(),
        "cube_id": source.cube_id,
        "source_id": source.id,
        "target_id": target.id,
        "relation": "related",
        "reason": None,
        "created_at": clock(),
    }
    return Link(**{**values, **fields})


def test_links_are_seen_from_both_ends(
    stores: Stores, clock: Clock, pair: tuple[Memory, Memory]
) -> None:
    one, two = pair
    there = stores.links.put(link(clock, one, two, reason="weil"))
    clock.forward(1)
    back = stores.links.put(link(clock, two, one))
    itself = stores.links.put(link(clock, one, one, relation="same"))
    assert stores.links.of(one.cube_id, one.id) == (there, back, itself)
    assert stores.links.of(one.cube_id, two.id) == (there, back)
    assert stores.links.of("nowhere", one.id) == ()


def test_the_same_link_again_is_the_one_there(
    stores: Stores, clock: Clock, pair: tuple[Memory, Memory]
) -> None:
    first = stores.links.put(link(clock, *pair))
    assert stores.links.put(link(clock, *pair, reason="other")) == first
    other = stores.links.put(link(clock, *pair, relation="causes"))
    assert stores.links.of(first.cube_id, pair[0].id) == (first, other)


def test_both_ends_must_live_in_the_cube(
    stores: Stores, clock: Clock, cube: Cube, pair: tuple[Memory, Memory]
) -> None:
    one, two = pair
    other = stores.cubes.create(samples.cube(clock, name="other"))
    (foreign,), _ = stores.memories.insert(other.id, [memory(clock, other.id)], [NOTHING])
    with pytest.raises(MemoryNotFound, match=foreign.id):
        stores.links.put(link(clock, one, foreign))
    with pytest.raises(CubeNotFound):
        stores.links.put(link(clock, one, two, cube_id="nowhere"))
    stores.memories.erase(cube.id, two.id, actor=None, reason=None)
    for ends in ((one, two), (two, one)):
        with pytest.raises(MemoryNotFound, match=two.id):
            stores.links.put(link(clock, *ends))
    with pytest.raises(InvalidInput):
        stores.links.put(link(clock, one, one, relation="a\0"))


def test_remove(stores: Stores, clock: Clock, cube: Cube, pair: tuple[Memory, Memory]) -> None:
    made = stores.links.put(link(clock, *pair))
    with pytest.raises(NotFound):
        stores.links.remove("nowhere", made.id, at=clock())
    stores.links.remove(cube.id, made.id, at=clock())
    assert stores.links.of(cube.id, pair[0].id) == ()
    with pytest.raises(NotFound, match=made.id):
        stores.links.remove(cube.id, made.id, at=clock())
