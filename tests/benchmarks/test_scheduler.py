"""The queue's benchmark on a small scale: nothing is lost by kills, and what it reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memos.benchmarks import scheduler


def test_no_job_is_lost_or_done_twice_by_kills_and_poison_is_put_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["--kills", "3", "--deeds", "150", "--workers", "2"]
    code = scheduler.main(["--parts", "kills", *size, "--out", str(tmp_path)])
    assert code == 0
    found = json.loads((tmp_path / "report.json").read_text("utf-8"))["kills"]
    assert found["jobs"] >= 150
    ended = (found["succeeded"], found["in_ledger"], found["lost"], found["dead"])
    assert ended == (found["jobs"], found["jobs"], 0, 0)
    # Each kill left jobs behind that another worker had to do.
    assert found["kills"] == 3 <= found["held_when_killed"] <= found["attempts"] - found["jobs"]
    assert found["sum_is_right"]
    assert (found["poison_dead"], found["workers_poisoned"] > 0) == (1, True)
    assert "lost" in capsys.readouterr().out


def test_it_simulates_measures_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["--arrivals", "800", "--backlog", "400", "--looks", "3", "--seconds", "0.005"]
    code = scheduler.main(["--parts", "simulation", "fairness", *size, "--out", str(tmp_path)])
    assert code == 0
    found = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert [row["load"] for row in found["simulation"]["rows"]] == list(scheduler.LOADS)
    assert all(row["pollaczek_khinchine_s"] > 0 for row in found["simulation"]["rows"])
    # It does not stand behind the 400 that were there before it.
    assert found["fairness"]["begun_before"]["p50"] < 40
    assert (tmp_path / "waiting.png").stat().st_size > 5000
    assert "M/G/1" in capsys.readouterr().out
