"""The benchmark of consolidation on a year of a few days."""

from __future__ import annotations

import json
from pathlib import Path

from memos.benchmarks import consolidation
from memos.benchmarks.keeping.year import Year


def test_a_year_follows_from_its_seed_and_knows_its_truth() -> None:
    one, same, other = Year(300, 1), Year(300, 1), Year(300, 2)
    turns = list(one.turns())
    assert turns == list(same.turns())
    assert turns != list(other.turns())
    said = [fact for fact in one.truth.states if fact is not None]
    assert 150 < len(said) < 290
    assert one.truth.corrections
    assert all(one.truth.now[key] for key in one.truth.former)


def test_the_parts_are_measured_and_reported(tmp_path: Path) -> None:
    arguments = ["--parts", "year,growth,erase", "--embedder", "hash", "--read", "never"]
    sizes = ["--size", "300", "--sizes", "100,200", "--erase-size", "100"]
    assert consolidation.main([*arguments, *sizes, "--out", str(tmp_path)]) == 0
    data = json.loads((tmp_path / "report.json").read_text())
    year = data["year"]
    assert year["before"]["duplicates"] > 2 * year["after"]["duplicates"]
    assert year["before"]["bytes"] > 1.3 * year["after"]["bytes"]
    assert [row["memories"] for row in data["growth"]] == [100, 200]
    assert len(data["erase"]["rows"]) == data["erase"]["erase_ms"]["n"] > 20
    assert len(data["targets"]) == 7
    assert (tmp_path / "growth.png").exists()
