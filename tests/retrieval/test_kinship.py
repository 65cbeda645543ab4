"""The table of how near words are in meaning, and what a search makes of it."""

from pathlib import Path

import numpy as np
import pytest

from memos.benchmarks.kinship import by_term, made, projected
from memos.errors import InvalidInput
from memos.retrieval.reading import kinship
from memos.retrieval.reading.analysis import analyze
from memos.testing import HashEmbedder


def nearness(one: str, other: str) -> float:
    table = kinship.default()
    (left,), (right,) = (table.rows(analyze(word)) for word in (one, other))
    return float(table.nearness([left], [right])[0, 0])


def test_words_of_one_field_are_near_and_others_are_not():
    for near, far in (
        (("activity", "hobby"), ("activity", "kettle")),
        (("dog", "puppy"), ("dog", "violin")),
        (("paint", "canvas"), ("paint", "seven")),
        (("doctor", "hospital"), ("doctor", "guitar")),
    ):
        assert nearness(*near) > 0.05 > nearness(*far), (near, far)
    assert nearness("camping", "camping") == pytest.approx(1, abs=0.02)
    assert nearness("dog", "puppy") == pytest.approx(nearness("puppy", "dog"))


def test_a_term_that_is_not_in_the_table_is_near_nothing():
    table = kinship.default()
    assert table.rows(["zzyzx", "dog"])[0] == -1
    near = table.nearness([-1, *table.rows(["dog"])], [-1, *table.rows(["dog"])])
    assert near[0].tolist() == [0, 0]
    assert near[1, 0] == 0
    assert table.nearness([], [3]).shape == (0, 1)


def test_the_table_is_of_common_words_by_how_common_they_are():
    table = kinship.default()
    assert 10_000 < len(table.row) == len(table.vectors)
    lengths = np.linalg.norm(table.vectors / kinship.SCALE, axis=1)
    assert np.allclose(lengths, 1, atol=0.05)
    assert not set(table.row) & {"the", "her", "[CLS]", "##ing"}


def test_the_words_of_one_stem_have_one_vector():
    pieces = ["[CLS]", "the", "paint", "##ing", "a", "painted", "café", "x1", "boat"]
    assert by_term(pieces) == {"paint": ["paint", "painted"], "boat": ["boat"]}


def test_projection_keeps_what_differs_most():
    random = np.random.default_rng(0)
    plane = random.normal(size=(50, 2)) @ random.normal(size=(2, 16)) + 5
    found = projected(plane.astype(np.float32), 2)
    centred = plane - plane.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    assert np.allclose(found @ found.T, centred @ centred.T, atol=1e-3)


def test_a_table_is_written_the_same_and_read_back(tmp_path: Path):
    words = {"boat": ["boat", "boats"], "sail": ["sailing"], "kettl": ["kettle"]}
    table = made(words, HashEmbedder(), dimensions=8)
    kinship.write(table, tmp_path / "one.npz")
    kinship.write(table, tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    back = kinship.read(tmp_path / "one.npz")
    assert back.row == table.row
    assert back.made == {"by": "memos bench kinship", "model": "hash"}
    assert np.array_equal(back.vectors, table.vectors)


def test_a_damaged_table_is_refused(tmp_path: Path):
    whole = kinship.FILE.read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    np.savez(tmp_path / "odd.npz", terms=np.zeros(3, np.uint8), vectors=np.zeros((9, 4), np.int8))
    for name in ("cut.npz", "odd.npz", "none.npz"):
        with pytest.raises(InvalidInput, match="holds no table"):
            kinship.read(tmp_path / name)
