"""The benchmark of activation memory on a small model: its parts run and say what they measured."""

import json
import tempfile
from pathlib import Path

import pytest

from memos.benchmarks import kv

MODELS = Path(tempfile.gettempdir()) / "memos-tests-models"


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_every_part_reports_its_targets(tmp_path, capsys):
    sizes = {
        "shape": "sliding-window",
        "dtype": "float32",
        "lengths": "192",
        "cost-lengths": "16,192",
        "new": 8,
        "repeats": 2,
        "cold-repeats": 1,
        "crowd": "1,2",
        "opening": 64,
        "pairs": 3,
        "parts": ",".join(kv.PARTS),
        "prompts": 4,
        "tokens": 18,
        "cache-dir": MODELS,
        "out": tmp_path / "out",
    }
    arguments = [f"--{name}={value}" for name, value in sizes.items()]
    out = tmp_path / "out"
    assert kv.main(arguments) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["environment"]["device"] == "cpu"
    assert {part for part in kv.PARTS if report[part]["targets"]} == set(kv.PARTS)
    for part in kv.PARTS:
        assert report["raw"][part]["rows"] > 0
    exact = {t["target"]: t["met"] for t in report["exact"]["targets"]}
    assert all(exact.values()), exact
    ms = report["ttft"]["lengths"][0]["ms"]
    assert {"cold", "hit_cold", "hit_warm", "load", "resident", "torch_load"} <= set(ms)
    assert "Time to first token" in capsys.readouterr().out


def test_an_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit):
        kv.main(["--parts", "speed"])
    assert "there are" in capsys.readouterr().err


def test_a_wrong_shape_is_an_error_of_ours(capsys):
    assert kv.main(["--shape", "round", "--parts", "cost"]) == 1
    assert "no shape 'round'" in capsys.readouterr().err
