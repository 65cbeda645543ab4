"""The scale benchmark on a small scale: what it gathers, and how it judges."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from memos.benchmarks import report, scale
from memos.benchmarks.scaling import probe, rendering
from memos.benchmarks.texts.conversations import Conversations
from memos.service import MemoryOS

COUNT = 200


@pytest.fixture
def grown(tmp_path: Path) -> tuple[Path, dict[str, float]]:
    """A folder whose cube has some memories with synthetic vectors, and facts read out of them."""
    embedder = probe.embedder_for("synthetic", tmp_path)
    turns = Conversations(0).turns(COUNT)
    return tmp_path, scale._grow(tmp_path, embedder, turns, COUNT)


def test_a_size_is_measured_in_a_process_of_its_own(grown: tuple[Path, dict[str, float]]) -> None:
    folder, how = grown
    found = probe.measure(
        {
            "data_dir": str(folder),
            "vectors": "synthetic",
            "cube": scale.CUBE,
            "queries": Conversations(0).questions(5),
            "variants": {"unfiltered": {}, "session": {"session_id": "talk-0-1"}},
            "warm_up": 1,
        }
    )
    plain = [row for row in found["rows"] if row["variant"] == "unfiltered"]
    session = [row for row in found["rows"] if row["variant"] == "session"]
    assert len(plain) == len(session) == 5
    assert {row["considered"] for row in plain} == {COUNT}
    assert all(0 < row["considered"] < 60 for row in session)
    assert all(row["total_ms"] >= row["search_ms"] > 0 for row in plain)
    assert found["projection"]["projection_memories"] == COUNT
    assert found["rss"]["after"] > found["rss"]["model"] > 0
    walked = probe.measure(
        {
            "data_dir": str(folder),
            "vectors": "synthetic",
            "cube": scale.CUBE,
            "queries": Conversations(0).questions(3),
            "variants": {scale.ALL_CHANNELS: {}},
            "settings": {"graph_weight": 1.0},
            "warm_up": 1,
        }
    )
    point = scale._point(COUNT, found, walked, how, scale._disk(folder))
    assert point["search_ms"]["n"] == 5
    assert point["all_channels_ms"]["n"] == 3
    assert point["disk_bytes"]["SQL"] > COUNT * 384 * 4  # it holds the vectors


def test_a_process_that_fails_is_an_error(tmp_path: Path) -> None:
    task = {"data_dir": str(tmp_path), "vectors": "synthetic", "cube": "none", "queries": []}
    with pytest.raises(RuntimeError, match="exit code 1"):
        probe.measure(task | {"variants": {}, "warm_up": 0})


def test_ingest_is_compared_with_bare_embedding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that says what each took: the machine may stand still at any moment."""
    now = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: now[0], process_time=lambda: now[0])
    monkeypatch.setattr(scale, "time", clock)
    add_batch = MemoryOS.add_batch

    def adding(*args: Any, **how: Any) -> Iterator[Any]:
        yield from add_batch(*args, **how)
        now[0] += 4.0

    class Bare:
        def embed(self, texts: list[str]) -> None:
            now[0] += 1.0

    options: Any = SimpleNamespace(ingest=200, vectors="synthetic")
    embedder = probe.embedder_for("synthetic", tmp_path)
    monkeypatch.setattr(MemoryOS, "add_batch", adding)
    monkeypatch.setattr(probe, "embedder_for", lambda *_: Bare())
    found = scale._ingest(tmp_path, embedder, options, Conversations(0))
    assert found["texts"] == 200
    assert found["rounds_s"]["add"] == [4.0] * scale.INGEST_ROUNDS
    assert found["share_of_embedder"] == found["share_by_cpu_time"] == 0.25
    assert found["embed_per_s"] == 4 * found["add_per_s"] == 50.0


def data(*, p50: float = 4.0, ratio: float = 1.5, share: float = 0.8) -> dict[str, Any]:
    times = {"n": 3, "mean": p50, "max": p50, "p50": p50, "p95": 2 * p50, "p99": 2 * p50}
    point = {
        "search_ms": times,
        "all_channels_ms": times,
        "first_search_ms": 90.0,
        "rss_bytes": {"model": 1 << 28, "loaded": 1 << 29, "after": 1 << 29},
        "rss_bytes_per_memory": 2700,
        "disk_bytes": {"SQL": 400_000_000, "vector index": 190_000_000},
        "disk_bytes_per_memory": 5900,
        "add_per_s": 500.0,
        "index_wait_s": 1.0,
    }
    whole = {"kept": 1.0, "search_ms": times, "p50_ratio": 1.0}
    tenth = {"kept": 0.1, "search_ms": times, "p50_ratio": ratio}
    return {
        "vectors": "real",
        "growth": [{"memories": 10_000, **point}, {"memories": 100_000, **point}],
        "filter": {"memories": 100_000, "unfiltered": whole, "user scope": tenth},
        "ingest": {
            "texts": 100,
            "embed_per_s": 500.0,
            "add_per_s": 400.0,
            "share_of_embedder": share,
            "share_by_cpu_time": share,
        },
        "query_embedding_ms": times,
        "cold_start": [{"memories": 1000, "ready_s": 2.0, "first_search_s": 3.0}],
        "client_import_ms": {"median": 90.0, "min": 80.0},
    }


def met(found: list[dict[str, Any]]) -> dict[str, bool | None]:
    return {target["target"]: target["met"] for target in found}


def test_targets_are_judged() -> None:
    assert set(met(rendering.targets(data())).values()) == {True}
    slow = met(rendering.targets(data(p50=5.5, ratio=2.1, share=0.7)))
    assert {name for name, ok in slow.items() if not ok} == {
        "search beyond embedding at 10,000, p50, ms",
        "search beyond embedding at 10,000, p95, ms",
        "query embedding, p50, ms",
        "user scope that keeps 10 % of 100,000, ratio",
        "ingest, share of the embedder's rate",
    }


def test_what_was_not_run_is_not_said_to_be_met() -> None:
    small = data()
    small["growth"] = small["growth"][:1]
    small["filter"]["memories"] = 10_000
    small |= {"vectors": "synthetic", "query_embedding_ms": None}
    found = met(rendering.targets(small))
    assert [name for name, ok in found.items() if ok is None] == [
        "search beyond embedding at 100,000, p50, ms",
        "search beyond embedding at 100,000, p95, ms",
        "query embedding, p50, ms",
        "user scope that keeps 10 % of 100,000, ratio",
        "ingest, share of the embedder's rate",
    ]


def test_the_report_has_plot_tables_and_rows(tmp_path: Path) -> None:
    measured = data()
    measured["targets"] = rendering.targets(measured)
    path = rendering.write(tmp_path, measured, [{"memories": 1}], report.environment(seed=0))
    assert json.loads(path.read_text("utf-8"))["targets"] == measured["targets"]
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "| search beyond embedding at 10,000, p50, ms | ≤ 5 | 4 | yes |" in text
    assert "![growth](growth.png)" in text


def test_sizes_are_read_in_order() -> None:
    assert scale._sizes("1_000,30000,100") == (100, 1000, 30_000)
