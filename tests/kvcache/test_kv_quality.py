"""The benchmark of quality on a small model with random weights: what it runs and reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memos.benchmarks import kv_quality
from memos.benchmarks.texts import prose
from tests.kvcache.real import smollm
from tests.kvcache.tiny import llama


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that reads the default model's tokens."""
    place = tmp_path_factory.mktemp("model")
    _, tokenizer = smollm()
    llama(vocab_size=len(tokenizer)).save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


def test_it_measures_and_reports(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = [
        "--tokens",
        "160",
        "--cases",
        "1",
        "--facts",
        "3",
        "--continuation",
        "8",
        "--chunks",
        "3",
    ]
    grid = [
        "--policies",
        "random",
        "recent",
        "snapkv",
        "--ratios",
        "0.5",
        "0.75",
        "--recompute",
        "0",
        "1",
    ]
    code = kv_quality.main(["--model", str(folder), *size, *grid, "--out", str(tmp_path / "first")])
    assert code == 0
    assert "### Reuse out of place" in capsys.readouterr().out
    found = json.loads((tmp_path / "first" / "report.json").read_text("utf-8"))
    rows = found["models"][str(folder)]
    policies = [(r["name"], r["ratio"], r["guided"]) for r in rows if r["kind"] == "policy"]
    assert policies == [
        (name, ratio, name == "snapkv")
        for name in ("random", "recent", "snapkv")
        for ratio in (0.5, 0.75)
    ]
    codecs = {r["name"]: r for r in rows if r["kind"] == "codec"}
    assert codecs["lossless"]["kl"] == pytest.approx(0.0, abs=1e-6)
    assert codecs["int8"]["share"] < 0.5
    reuse = {(r["name"], r["ratio"]): r for r in rows if r["kind"] == "reuse"}
    assert set(reuse) == {
        ("concatenated", 0.0),
        *((name, ratio) for name in ("first", "deviation") for ratio in (0.0, 1.0)),
    }
    assert reuse["first", 1.0]["top1"] == 1.0
    assert reuse["first", 1.0]["kl"] < reuse["first", 0.0]["kl"]
    retrieval = next(r for r in rows if r["kind"] == "retrieval")
    assert retrieval["questions"] == 3
    assert {p.name for p in (tmp_path / "first").iterdir()} >= {"policy-1.png", "reuse-1.png"}

    # Rows of earlier runs are reported without running anything.
    earlier = ["--earlier", str(tmp_path / "first" / "rows.jsonl"), "--parts"]
    assert kv_quality.main([*earlier, "--out", str(tmp_path / "second")]) == 0
    again = json.loads((tmp_path / "second" / "report.json").read_text("utf-8"))
    assert again["models"] == found["models"]


def test_an_unknown_model_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert kv_quality.main(["--model", "/nowhere/at/all"]) == 1
    assert "/nowhere/at/all" in capsys.readouterr().err


def test_prose_is_plain_sentences() -> None:
    found = prose.sentences()
    assert len(found) > 500
    assert all(part.endswith(".") and "\n" not in part for part in found)
