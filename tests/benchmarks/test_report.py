"""The report that all benchmarks share."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from memos.benchmarks import report


def test_a_report_is_json_markdown_and_raw_rows(tmp_path: Path) -> None:
    rows = [{"query": "où", "ms": 1.5}, {"query": "b", "ms": 2.0}]
    path = report.write_report(
        tmp_path / "new" / "folder",
        "some benchmark",
        {"systems": {"memos": {"recall@10": 72.0}}},
        "| a |",
        environment=report.environment(seed=3, vectors="real"),
        rows={"answers": (row for row in rows)},
    )
    found = json.loads(path.read_text("utf-8"))
    assert found["benchmark"] == "some benchmark"
    assert found["systems"] == {"memos": {"recall@10": 72.0}}
    assert found["raw"] == {"answers": {"file": "answers.jsonl", "rows": 2}}
    assert (found["environment"]["seed"], found["environment"]["vectors"]) == (3, "real")
    lines = (path.parent / "answers.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == rows
    text = (path.parent / "report.md").read_text("utf-8")
    assert text.startswith("# some benchmark\n")
    assert "answers.jsonl (2)" in text
    assert "- seed: 3" in text


def test_the_environment_names_machine_versions_and_commit() -> None:
    found = report.environment()
    assert found["cores"] >= 1
    assert found["cpu"]
    assert found["versions"]["numpy"] == np.__version__
    assert found["commit"] is None or len(found["commit"].removesuffix("+changes")) == 12


def test_percentiles_are_those_of_numpy() -> None:
    values = [float(value) for value in range(1, 201)]
    found = report.percentiles(values)
    assert found["n"] == 200
    assert found["p50"] == pytest.approx(np.percentile(values, 50))
    assert found["p99"] == pytest.approx(np.percentile(values, 99))
    assert found["max"] == 200
    with pytest.raises(ValueError, match="no values"):
        report.percentiles([])


def test_a_table_aligns_numbers_and_escapes_bars() -> None:
    found = report.table(("name", "n", "ms"), [("a|b", 12345, 0.12345), ("c", 1, None)])
    assert found.splitlines() == [
        "| name | n | ms |",
        "| --- | ---: | ---: |",
        "| a\\|b | 12,345 | 0.123 |",
        "| c | 1 | – |",
    ]
