"""The filter language: what it means, what it refuses, and that both evaluations agree."""

from datetime import datetime, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memos.errors import InvalidFilter
from memos.retrieval.filtering.filters import MAX_DEPTH, parse_filter
from memos.retrieval.projection.projection import Projection
from memos.types import Kind
from tests.retrieval.world import NOW, World

AT = datetime(2024, 5, 7, 12, tzinfo=timezone.utc)
FIELDS = {
    "kind": Kind.SEMANTIC,
    "speaker": "Anna",
    "occurred_at": AT,
    "priority": 0.8,
    "metadata": {
        "n": 3,
        "flag": True,
        "tags": ["red", "blue", 7],
        "deep": {"er": {"x": 1.5}},
        "dot.ted": "yes",
        "place": "shadowed",
        "none": None,
        "text": "a long story",
    },
}

HOLDS = [
    {"speaker": "Anna"},
    {"kind": "semantic"},
    {"place": None},
    {"place": {"ne": "Lisbon"}},
    {"place": {"nin": ["Lisbon"]}},
    {"place": {"exists": False}},
    {"metadata.place": "shadowed"},
    {"n": 3},
    {"n": 3.0},
    {"n": {"gt": 2, "lte": 3}},
    {"n": {"in": [1, 3]}},
    {"n": {"in": ["3", 3]}},
    {"flag": True},
    {"flag": {"ne": 1}},
    {"tags": {"contains": "red"}},
    {"tags": {"contains": 7}},
    {"tags": ["red", "blue", 7]},
    {"text": {"contains": "long"}},
    {"deep.er.x": {"gte": 1.5}},
    {"deep": {"contains": "er"}},
    {"dot.ted": "yes"},
    {"none": {"exists": False}},
    {"none": None},
    {"absent": {"ne": 5}},
    {"priority": {"gt": 0.5}},
    {"priority": {"in": [0.8, None]}},
    {"occurred_at": {"gte": "2024-05-07", "lt": "2024-05-08T00:00:00Z"}},
    {"occurred_at": "2024-05-07T14:00:00+02:00"},
    {"expires_at": None},
    {"expires_at": {"nin": ["2024-05-07"]}},
    {"created_at": {"exists": True}},
    {"or": [{"n": 9}, {"speaker": "Anna"}]},
    {"and": [{"n": 3}, {"flag": True}], "speaker": "Anna"},
    {"not": {"n": 4}},
    {"not": {"or": [{"n": 4}, {"n": 5}]}},
    {},
]
FAILS = [
    {"speaker": "anna"},
    {"speaker": {"gt": 3}},
    {"n": "3"},
    {"n": {"gt": "2"}},
    {"n": True},
    {"flag": 1},
    {"flag": {"gt": 0}},
    {"text": {"lt": 5}},
    {"absent": {"gt": 0}},
    {"absent": {"contains": "x"}},
    {"tags": {"contains": "re"}},
    {"n": {"contains": 3}},
    {"priority": {"contains": 0.8}},
    {"priority": "0.8"},
    {"occurred_at": {"lt": "2024-05-07"}},
    {"expires_at": {"gt": "2000-01-01"}},
    {"place": {"exists": True}},
    {"not": {}},
    {"n": {"in": []}},
]


def rows_of(world: World) -> tuple[Projection, list[str]]:
    projection = Projection()
    projection.apply(world.changes("cube", after=0))
    return projection, projection.ids


def both(filter, world: World) -> list[bool]:
    """The answer per memory; asserts that the columns say the same."""
    projection, ids = rows_of(world)
    node = parse_filter(filter)
    single = [node is None or node.matches(world.memories[id]) for id in ids]
    if node is not None:
        assert projection.columns.where(node).tolist() == single
    return single


@pytest.mark.parametrize("filter", HOLDS, ids=str)
def test_holds(filter):
    world = World()
    world.add("text", **FIELDS)
    assert both(filter, world) == [True]


@pytest.mark.parametrize("filter", FAILS, ids=str)
def test_fails(filter):
    world = World()
    world.add("text", **FIELDS)
    assert both(filter, world) == [False]


@pytest.mark.parametrize(
    ("filter", "place", "remedy"),
    [
        ({"$and": []}, "filter.$and", "and, not, or"),
        ({"n": {"$gt": 3}}, "filter.n", "unknown operator '$gt'"),
        ({"n": {"greater": 3}}, "filter.n", "contains, eq"),
        ({"n": {}}, "filter.n", "no operator"),
        ({"and": {}}, "filter.and", "list of filters"),
        ({"or": []}, "filter.or", "list of filters"),
        ({"or": [{"n": 1}, 5]}, "filter.or[1]", "must be an object"),
        ({"not": [1]}, "filter.not", "must be an object"),
        ({"n": {"in": 3}}, "filter.n.in", "must be a list"),
        ({"n": {"exists": "yes"}}, "filter.n.exists", "true or false"),
        ({"n": {"gt": [1]}}, "filter.n.gt", "number"),
        ({"n": {"gt": None}}, "filter.n.gt", "number"),
        ({"n": {"eq": 10**30}}, "filter.n.eq", "64 bits"),
        ({"n": {"lt": float("nan")}}, "filter.n.lt", "JSON"),
        ({"occurred_at": {"gt": "yesterday"}}, "filter.occurred_at.gt", "ISO 8601"),
        ({"occurred_at": {"gt": 5}}, "filter.occurred_at.gt", "ISO 8601"),
        ({"a..b": 1}, "filter.a..b", "empty part"),
        ([], "filter", "must be an object"),
        ("n = 3", "filter", "must be an object"),
        ({"n": {"in": list(range(2000))}}, "filter.n.in", "at most"),
        ({"and": [{"n": i} for i in range(65)]}, "filter.and", "at most"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_refusals_name_the_place_and_the_remedy(filter, place, remedy):
    with pytest.raises(InvalidFilter) as caught:
        parse_filter(filter)
    assert caught.value.details["field"] == place
    assert remedy in caught.value.message


def test_too_deep():
    filter = {"n": 1}
    for _ in range(MAX_DEPTH):
        filter = {"not": filter}
    with pytest.raises(InvalidFilter, match="deeper"):
        parse_filter(filter)


# Neighbours that are one float.
beyond_floats = [2**53 + n for n in range(4)] + [-(2**63), 1 - 2**63]

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.0, -2.5]),
    st.sampled_from(beyond_floats),
    st.sampled_from(["a", "b", "ab", ""]),
    st.lists(st.sampled_from(["a", 1, True]), max_size=2),
)
scalars = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from(["a", "b", "ab"]))
ordered = st.one_of(
    st.integers(-3, 3), st.just(0.5), st.sampled_from(["a", "b"]), st.sampled_from(beyond_floats)
)
leaves = st.one_of(
    st.tuples(st.sampled_from(["eq", "ne"]), values),
    st.tuples(st.sampled_from(["in", "nin"]), st.lists(values, max_size=3)),
    st.tuples(st.sampled_from(["gt", "gte", "lt", "lte"]), ordered),
    st.tuples(st.just("contains"), scalars),
    st.tuples(st.just("exists"), st.booleans()),
)
fields = st.sampled_from(["x", "deep.x", "speaker", "place", "priority", "position", "metadata.y"])
leaf = st.builds(lambda field, test: {field: {test[0]: test[1]}}, fields, leaves)
trees = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"and": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"or": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=5,
)
rows = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries(
            {}, optional={"x": values, "y": values, "deep": st.builds(lambda x: {"x": x}, values)}
        ),
        "speaker": st.sampled_from(["a", "b", "ab"]),
        "place": st.sampled_from(["a", "b"]),
        "priority": st.sampled_from([0.0, 0.5, 1.0]),
    },
)


@given(st.lists(rows, min_size=1, max_size=6), trees)
def test_columns_and_single_memories_agree(rows, filter):
    world = World()
    for row in rows:
        world.add("text", vector=False, **row)
    both(filter, world)


@pytest.mark.parametrize("op", ["gt", "gte", "lt", "lte"])
def test_integers_that_are_one_float_are_told_apart(op):
    world = World()
    for number in (1790000000000000000, 1790000000000000001):
        world.add("text", vector=False, metadata={"id": number})
    both({"id": {op: 1790000000000000000}}, world)


def test_metadata_columns_follow_changes():
    world = World()
    id = world.add("text", metadata={"n": 1})
    other = world.add("text", metadata={"n": 2})
    projection, _ = rows_of(world)
    node = parse_filter({"n": {"gte": 2}})
    assert np.flatnonzero(projection.columns.where(node)).tolist() == [projection.row(other)]
    seq = world.seq
    world.change(id, metadata={"n": 5})
    new = world.add("text", metadata={})
    projection.apply(world.changes("cube", after=seq))
    passing = projection.columns.where(node)
    assert passing[projection.row(id)]
    assert passing[projection.row(other)]
    assert not passing[projection.row(new)]


def test_time_fields_take_datetimes_too():
    node = parse_filter({"created_at": {"lte": NOW}})
    world = World()
    id = world.add("text")
    assert node.matches(world.memories[id])
