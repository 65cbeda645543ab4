"""The crash benchmark passes on the real server, and fails where something is lost."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import memos
from memos.benchmarks import crash
from memos.benchmarks.service.crash_load import CUBES, Ledger, Unit, content_of, phrases
from memos.benchmarks.service.server_process import Server
from memos.embedding import load_embedder
from memos.embedding.weights import DEFAULT_MODEL
from memos.errors import ServiceUnavailable
from memos.protocols import Embedder
from memos.service import MemoryOS


@pytest.fixture(scope="module")
def embedder(exported: Path) -> Embedder:
    return load_embedder(model=DEFAULT_MODEL, cache_dir=exported, threads=1, offline=True)


@pytest.fixture
def memory(warm_data_dir: Path) -> Iterator[MemoryOS]:
    with memos.open() as opened:
        for cube in CUBES:
            opened.create_cube(cube)
        yield opened


def sent(ledger: Ledger, memory: MemoryOS, size: int, *, stored: int) -> Unit:
    """A unit of `size`, of which the first `stored` are in the store and acknowledged."""
    own = phrases(f"unit {len(ledger.units)}")
    unit = Unit(mode="batch", cube=CUBES[0], phrases=tuple(next(own) for _ in range(size)))
    contents = [content_of(phrase) for phrase in unit.phrases[:stored]]
    if contents:
        added = memory.add(contents, cube=unit.cube)
        unit.ids = tuple(each.id for each in added.memories)
    return ledger.sending(unit)


def counts(memory: MemoryOS, ledger: Ledger) -> dict[str, int]:
    return crash.check(memory, ledger.units, ledger)  # type: ignore[arg-type]  # the same verbs


def test_whole_units_and_unsent_ones_are_nothing_lost(memory: MemoryOS):
    ledger = Ledger()
    sent(ledger, memory, 3, stored=3)
    sent(ledger, memory, 4, stored=0)
    assert counts(memory, ledger) == {
        "sent": 7, "acknowledged": 3, "stored": 3,
        "lost_to_get": 0, "lost_to_search": 0, "half_written": 0,
    }  # fmt: skip


def test_an_acknowledged_memory_that_is_gone_is_counted(memory: MemoryOS):
    ledger = Ledger()
    unit = sent(ledger, memory, 3, stored=3)
    memory.forget(unit.ids[1], cube=unit.cube, erase=True)
    found = counts(memory, ledger)
    assert (found["lost_to_get"], found["lost_to_search"]) == (1, 1)
    assert found["half_written"] == 2


def test_a_part_of_a_unit_and_a_content_that_nobody_sent_are_half_written(memory: MemoryOS):
    ledger = Ledger()
    sent(ledger, memory, 5, stored=2)
    memory.add("Locker note: the pass phr", cube=CUBES[1])
    assert counts(memory, ledger)["half_written"] == 3


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("DELETE FROM memory_version", "1 memories without their version in the history"),
        ("UPDATE indexed SET terms = NULL", "1 memories without terms"),
        ("UPDATE indexed SET vector = NULL", "1 memories without a vector"),
        ("UPDATE indexed SET version = 7", "1 memories without a vector"),
        ("DELETE FROM memory", "1 history of memories that are not there"),
    ],
)
def test_half_written_rows_are_found_in_the_files(
    memory: MemoryOS, warm_data_dir: Path, embedder: Embedder, damage: str, problem: str
):
    memory.add("one memory", cube=CUBES[0])
    memory.close()
    assert crash.inspect(warm_data_dir, embedder) == []
    with closing(sqlite3.connect(warm_data_dir / "memos.db")) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute(damage)
        database.commit()
    assert problem in crash.inspect(warm_data_dir, embedder)


def test_phrases_are_their_own():
    first, again, other = phrases("a"), phrases("a"), phrases("b")
    made = [next(first) for _ in range(500)]
    assert made == [next(again) for _ in range(500)]
    assert len({*made, *(next(other) for _ in range(500))}) == 1000


def result(**changes: int) -> crash.Round:
    values: dict[str, Any] = {
        "number": 1, "load_s": 1.0, "restart_s": 1.0, "sent": 9, "acknowledged": 5, "stored": 6,
        "lost_to_get": 0, "lost_to_search": 0, "half_written": 0, "findings": (),
    }  # fmt: skip
    return crash.Round(**{**values, **changes})


def test_anything_lost_or_found_fails_the_run():
    assert crash.summarise([result(), result()])["passed"]
    for name in ("lost_to_get", "lost_to_search", "half_written"):
        assert not crash.summarise([result(**{name: 1}), result()])["passed"], name
    assert not crash.summarise([result(findings=("doctor: x",)), result()])["passed"]  # type: ignore[arg-type]
    # Nothing acknowledged proves nothing.
    assert not crash.summarise([result(), result(acknowledged=0)])["passed"]


def test_a_server_that_can_not_start_says_why(tmp_path: Path):
    with pytest.raises(ServiceUnavailable, match=r"(?i)embedding_backend"):
        Server(tmp_path / "data", {"embedding_backend": "abacus"})


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_kills_lose_nothing(warm_data_dir: Path, tmp_path: Path):
    arguments = ["--kills", "2", "--data-dir", str(warm_data_dir), "--out", str(tmp_path / "out")]
    assert crash.main(arguments) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    totals = report["systems"]["memos"]["all"]
    assert totals["kills"] == 2
    assert totals["acknowledged"] > 100
    assert totals["sent"] > totals["acknowledged"]  # each kill hit adds at work
    assert report["passed"] is True
