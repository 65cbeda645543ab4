"""What `VectorIndex` promises, on every backend."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from memos.errors import IndexUnavailable
from memos.protocols import VectorIndex
from tests.vectors.conftest import DIMENSIONS, unit_vectors

NOTHING = np.empty((0, DIMENSIONS), np.float32)


def names(count: int, prefix: str = "m") -> list[str]:
    return [f"{prefix}{row:05d}" for row in range(count)]


def test_an_unknown_cube_is_empty(index: VectorIndex) -> None:
    assert index.query("nobody", unit_vectors(1, seed=0)[0], limit=5) == []
    assert index.reached("nobody") == 0
    assert index.ids("nobody") == set()
    index.drop("nobody")


def test_query_gives_ids_with_their_cosine_best_first(index: VectorIndex) -> None:
    vectors = unit_vectors(200, seed=1)
    index.upsert("cube", names(200), vectors, seq=1)
    query = unit_vectors(1, seed=2)[0]
    found = index.query("cube", query, limit=10)
    cosines = vectors @ query
    exact = np.argsort(-cosines)[:10]
    assert [memory_id for memory_id, _ in found] == [names(200)[row] for row in exact]
    assert [cosine for _, cosine in found] == pytest.approx(cosines[exact].tolist(), abs=1e-5)


def test_query_gives_all_rows_when_limit_is_larger(index: VectorIndex) -> None:
    index.upsert("cube", names(3), unit_vectors(3, seed=1), seq=1)
    query = unit_vectors(1, seed=2)[0]
    assert len(index.query("cube", query, limit=1000)) == 3
    assert index.query("cube", query, limit=0) == []


def test_vectors_are_those_given(index: VectorIndex) -> None:
    rows = unit_vectors(5, seed=1)
    index.upsert("c", list("abcde"), rows, seq=5)
    held = index.vectors("c", ["b", "e", "nobody", "b"])
    assert sorted(held) == ["b", "e"]
    np.testing.assert_allclose(held["b"], rows[1], atol=1e-6)
    np.testing.assert_allclose(held["e"], rows[4], atol=1e-6)
    assert index.vectors("other", ["a"]) == {}


def test_upsert_replaces(index: VectorIndex) -> None:
    first, second = unit_vectors(2, seed=1)
    index.upsert("cube", ["a"], first[None], seq=1)
    index.upsert("cube", ["a"], second[None], seq=2)
    assert index.query("cube", second, limit=5) == [("a", pytest.approx(1.0, abs=1e-5))]
    assert index.ids("cube") == {"a"}


def test_of_an_id_given_twice_the_last_row_counts(index: VectorIndex) -> None:
    first, second = unit_vectors(2, seed=1)
    index.upsert("cube", ["a", "a"], np.stack([first, second]), seq=1)
    assert index.query("cube", second, limit=5) == [("a", pytest.approx(1.0, abs=1e-5))]


def test_deleted_rows_are_not_found_and_unknown_ones_are_passed_over(index: VectorIndex) -> None:
    vectors = unit_vectors(100, seed=1)
    index.upsert("cube", names(100), vectors, seq=1)
    index.delete("cube", [*names(100)[:90], "never-there"], seq=2)
    assert index.ids("cube") == set(names(100)[90:])
    found = index.query("cube", vectors[0], limit=10)
    assert {memory_id for memory_id, _ in found} == set(names(100)[90:])
    index.upsert("cube", ["m00000"], vectors[:1], seq=3)
    assert index.query("cube", vectors[0], limit=1)[0][0] == "m00000"


def test_a_large_delete_leaves_the_rest_searchable(index: VectorIndex) -> None:
    vectors = unit_vectors(2000, seed=1)
    index.upsert("cube", names(2000), vectors, seq=1)
    index.delete("cube", names(2000)[:1800], seq=2)
    rest = vectors[1800:]
    hits = [index.query("cube", row, limit=1)[0][0] for row in rest[::10]]
    assert hits == names(2000)[1800::10]
    assert len(index.query("cube", rest[0], limit=150)) == 150


def test_reached_is_the_newest_number_recorded(index: VectorIndex) -> None:
    row = unit_vectors(1, seed=1)
    index.upsert("cube", ["a"], row, seq=5)
    assert index.reached("cube") == 5
    index.delete("cube", ["a"], seq=7)
    assert index.reached("cube") == 7
    index.upsert("cube", [], NOTHING, seq=9)
    assert index.reached("cube") == 9
    index.upsert("cube", ["a"], row, seq=8)
    assert index.reached("cube") == 9


def test_a_writer_whose_reading_is_out_of_date_is_refused(index: VectorIndex) -> None:
    row = unit_vectors(1, seed=1)
    assert not index.upsert("cube", ["a"], row, seq=9, after=4)
    assert index.reached("cube") == 0
    assert index.upsert("cube", ["a"], row, seq=5, after=0)
    assert index.delete("cube", ["a"], seq=7, after=5)
    for after in (0, 5):  # read before the delete
        assert not index.upsert("cube", ["a"], row, seq=6, after=after)
        assert not index.delete("cube", ["b"], seq=8, after=after)
    assert (index.reached("cube"), index.ids("cube")) == (7, set())
    index.drop("cube")
    assert not index.upsert("cube", ["a"], row, seq=8, after=7)
    assert index.upsert("cube", ["a"], row, seq=8, after=0)


def test_numbers_are_recorded_before_the_first_row(index: VectorIndex) -> None:
    index.delete("cube", ["a"], seq=3)
    assert index.reached("cube") == 3
    index.upsert("other", [], NOTHING, seq=4)
    assert index.reached("other") == 4
    assert index.ids("cube") == index.ids("other") == set()
    assert index.query("cube", unit_vectors(1, seed=1)[0], limit=3) == []
    index.upsert("cube", ["b"], unit_vectors(1, seed=1), seq=4)
    assert index.ids("cube") == {"b"}


def test_cubes_do_not_see_each_other(index: VectorIndex) -> None:
    """One small cube beside a large one that lies nearer to the query still gives its own rows."""
    query = unit_vectors(1, seed=1)[0]
    near = query + 0.01 * unit_vectors(3000, seed=2)
    near = (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)
    index.upsert("large", names(3000), near, seq=1)
    index.upsert("small", names(20, "s"), -unit_vectors(20, seed=3), seq=1)
    found = index.query("small", query, limit=10)
    assert len(found) == 10
    assert all(memory_id.startswith("s") for memory_id, _ in found)
    index.drop("large")
    assert index.query("large", query, limit=10) == []
    assert (index.reached("large"), index.ids("large")) == (0, set())
    assert len(index.query("small", query, limit=10)) == 10


def test_a_dropped_cube_can_be_filled_again_with_other_dimensions(index: VectorIndex) -> None:
    index.upsert("cube", ["a"], unit_vectors(1, seed=1), seq=9)
    index.drop("cube")
    index.upsert("cube", ["b"], unit_vectors(1, seed=1, dimensions=48), seq=2)
    assert index.reached("cube") == 2
    assert index.query("cube", unit_vectors(1, seed=1, dimensions=48)[0], limit=5)[0][0] == "b"


def test_other_dimensions_are_refused(index: VectorIndex) -> None:
    index.upsert("cube", ["a"], unit_vectors(1, seed=1), seq=1)
    other = unit_vectors(1, seed=1, dimensions=48)
    with pytest.raises(IndexUnavailable, match="memos reindex"):
        index.upsert("cube", ["b"], other, seq=2)
    with pytest.raises(IndexUnavailable, match="memos reindex"):
        index.query("cube", other[0], limit=1)
    assert (index.reached("cube"), index.ids("cube")) == (1, {"a"})


@pytest.mark.parametrize("cube_id", ["01JD0000000000000000000000", "ü/../x'\"; DROP", "x" * 200])
def test_any_id_names_a_cube(index: VectorIndex, cube_id: str) -> None:
    index.upsert(cube_id, ["né'; --", "m" * 100], unit_vectors(2, seed=1), seq=1)
    assert index.ids(cube_id) == {"né'; --", "m" * 100}
    assert index.ids(cube_id.lower() + "y") == set()


def test_more_rows_than_one_call_of_the_store_takes(index: VectorIndex) -> None:
    vectors = unit_vectors(6000, seed=1, dimensions=16)
    index.upsert("cube", names(6000), vectors, seq=1)
    assert index.ids("cube") == set(names(6000))
    index.delete("cube", names(6000), seq=2)
    assert index.ids("cube") == set()


def test_a_wide_limit_gives_that_many(index: VectorIndex) -> None:
    index.upsert("cube", names(3000), unit_vectors(3000, seed=1), seq=1)
    for limit in (200, 1000, 1500):
        found = index.query("cube", unit_vectors(1, seed=2)[0], limit=limit)
        assert len(found) == len({memory_id for memory_id, _ in found}) == limit
        cosines = [cosine for _, cosine in found]
        assert cosines == sorted(cosines, reverse=True)


def test_recall(index: VectorIndex) -> None:
    vectors, queries = unit_vectors(3000, seed=1), unit_vectors(50, seed=2)
    index.upsert("cube", names(3000), vectors, seq=1)
    exact = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    hits = sum(
        len({names(3000)[row] for row in rows} & {i for i, _ in index.query("cube", q, limit=10)})
        for q, rows in zip(queries, exact, strict=True)
    )
    assert hits / exact.size >= 0.98


def test_everything_is_there_after_a_restart(open_index: Callable[[], VectorIndex]) -> None:
    vectors = unit_vectors(500, seed=1)
    before = open_index()
    before.upsert("cube", names(500), vectors, seq=41)
    before.delete("cube", names(10), seq=42)
    before.close()
    after = open_index()
    assert after.reached("cube") == 42
    assert after.ids("cube") == set(names(500)[10:])
    assert [after.query("cube", v, limit=1)[0][0] for v in vectors[10::50]] == names(500)[10::50]


def test_close_twice(index: VectorIndex) -> None:
    index.close()
    index.close()


def test_eight_threads_write_and_search_at_once(index: VectorIndex) -> None:
    threads, parts, size = 8, 5, 40
    vectors = unit_vectors(threads * parts * size, seed=1)
    ids = names(len(vectors))
    number = iter(range(1, 10_000))
    lock = threading.Lock()

    def work(thread: int) -> int:
        for part in range(parts):
            start = (thread * parts + part) * size
            rows = slice(start, start + size)
            cube = f"cube-{thread % 2}"
            with lock:
                seq = next(number)
            index.upsert(cube, ids[rows], vectors[rows], seq=seq)
            index.delete(cube, ids[start : start + 2], seq=seq)
            # A write is seen by the search after it.
            assert index.query(cube, vectors[start + 5], limit=1)[0][0] == ids[start + 5]
            assert ids[start] not in {i for i, _ in index.query(cube, vectors[start], limit=5)}
        return thread

    with ThreadPoolExecutor(threads) as pool:
        assert list(pool.map(work, range(threads))) == list(range(threads))
    held = index.ids("cube-0") | index.ids("cube-1")
    assert len(held) == threads * parts * (size - 2)
    assert max(index.reached("cube-0"), index.reached("cube-1")) == threads * parts
