"""The runner end to end on the shipped conversation: the real service, model and report."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import memos
from memos.benchmarks import locomo
from memos.benchmarks.retrieval import evidence_metrics
from memos.benchmarks.service.server_process import Server
from memos.benchmarks.texts import locomo_data
from memos.errors import MemosError

DEVELOPMENT = Path(__file__).resolve().parents[3] / "shared" / "locomo" / "locomo_dev.json"
BASELINES = {"bm25-turns", "bm25-windows", "minilm-turns", "rrf-bm25-minilm"}


@pytest.fixture(scope="module")
def out(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of one run on the shipped conversation."""
    folder = tmp_path_factory.mktemp("locomo")
    (folder / "data").mkdir()
    (folder / "data" / "models").symlink_to(exported)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEMOS_DATA_DIR", str(folder / "data"))
        assert locomo.main(["--out", str(folder / "out"), "--seed", "3"]) == 0
    assert list((folder / "data").iterdir()) == [folder / "data" / "models"]  # nothing left behind
    return folder / "out"


@pytest.fixture
def report(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return found


def test_report_has_every_system_group_and_metric_with_its_interval(report: dict[str, Any]):
    assert set(report["systems"]) == {"memos", *BASELINES}
    for groups in report["systems"].values():
        assert list(groups) == ["1-4", "1-5", "1", "2", "3", "4", "5"]
        for values in groups.values():
            assert values["n"] > 0
            for name in evidence_metrics.names():
                low, high = values[f"{name}_ci95"]
                assert 0 <= low <= values[name] <= high <= 100
    assert report["unit"] == "percent"
    assert report["systems"]["memos"]["1-5"]["n"] == report["data"]["questions"] == 37


def test_report_says_what_was_measured_and_left_out(report: dict[str, Any]):
    dataset = locomo_data.read(locomo_data.SAMPLE)
    assert report["data"]["sha256"] == dataset.sha256
    assert report["data"]["turns"] == report["ingest"]["turns"] == 135
    assert report["exclusions"]["count"] == 1
    assert report["exclusions"]["by_reason"] == {"evidence id can't be read": 1}
    assert report["environment"]["seed"] == report["bootstrap"]["seed"] == 3
    assert report["ingest"]["turns_per_second"] > 0
    for name in ("total", "embed", "search"):
        assert report["latency_ms"][name]["n"] == 37
        assert 0 < report["latency_ms"][name]["p50"] <= report["latency_ms"][name]["p99"]
    assert 0 < report["tokens_returned"]["10"]["mean"] < report["tokens_returned"]["50"]["mean"]


def test_raw_rows_give_the_reported_means(out: Path, report: dict[str, Any]):
    rows = [json.loads(line) for line in (out / "answers.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == report["raw"]["answers"]["rows"] == 5 * 37
    turns = {t.dia_id for c in locomo_data.read(locomo_data.SAMPLE).conversations for t in c.turns}
    for row in rows:
        assert set(row["ranked"]) <= turns
        assert len(set(row["ranked"])) == len(row["ranked"]) <= 50
        again = evidence_metrics.score(row["ranked"], row["evidence"])
        assert row["recall@10"] == pytest.approx(again["recall@10"], abs=1e-3)
    for system, groups in report["systems"].items():
        values = [r["recall@10"] for r in rows if r["system"] == system and r["category"] <= 4]
        assert groups["1-4"]["recall@10"] == pytest.approx(sum(values) / len(values), abs=0.01)


def test_every_name_of_the_report_is_documented(report: dict[str, Any]):
    page = (Path(locomo.__file__).resolve().parent / "README.md").read_text(encoding="utf-8")
    metrics = {name.partition("@")[0] for name in evidence_metrics.names()}
    names = {*report, *report["systems"], *report["data"], *report["ingest"], *metrics}
    names |= {*report["latency_ms"], *report["exclusions"]}
    assert {name for name in names if f"`{name}" not in page} == set()


def test_markdown_and_plot_are_written(out: Path):
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "2 temporal" in text
    assert "(recall.png)" in text
    assert (out / "recall.png").read_bytes().startswith(b"\x89PNG")


def test_the_service_beats_every_baseline_on_the_sample(report: dict[str, Any]):
    ours = report["systems"]["memos"]["1-4"]
    for name in BASELINES:
        theirs = report["systems"][name]["1-4"]
        assert ours["recall@10"] > theirs["recall@10"], name
        # A baseline at chance (10 of 135 turns) would make the comparison worthless.
        assert theirs["recall@10"] > 40, name


def test_words_that_found_an_image_are_in_no_memory_and_find_nothing(warm_data_dir: Path):
    (sample,) = locomo_data.read(locomo_data.SAMPLE).conversations
    with memos.open() as memory:
        memory.create_cube("sample")
        locomo.ingest(memory, sample, "sample")
        stored = memory.memories(cube="sample", limit=1000).items
        assert len(stored) == len(sample.turns)
        assert "tarifa" not in repr(stored).lower()
        found = memory.search("tarifa", cube="sample", limit=50, explain=True)
        lexical = [
            part
            for hit in found.hits
            for part in hit.breakdown
            if part.raw > 0 and part.channel.startswith("lexical")
        ]
        assert lexical == []
        # The caption of the same picture is searched.
        seen = memory.search("lighthouse above a rocky shore", cube="sample", limit=1)
        assert seen.hits[0].memory.images[0].caption == (
            "a photo of a white lighthouse above a rocky shore at sunset"
        )
        assert any(
            part.raw > 0 and part.channel.startswith("lexical") for part in seen.hits[0].breakdown
        )


def test_a_running_server_is_measured_by_the_same_searches(
    warm_data_dir: Path, report: dict[str, Any], tmp_path: Path
):
    with Server(warm_data_dir) as server:
        arguments = ["--url", server.url, "--api-key", server.key, "--no-baselines"]
        assert locomo.main([*arguments, "--out", str(tmp_path / "out")]) == 0
        with server.client() as client:
            assert client.cubes().items == ()  # made for the run, and removed after it
        assert server.stop() == 0
    found = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert list(found["systems"]) == ["memos"]
    for name in ("recall@10", "ndcg@10", "n"):
        assert found["systems"]["memos"]["1-5"][name] == report["systems"]["memos"]["1-5"][name]


def test_a_file_that_can_not_be_read_ends_with_a_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    assert locomo.main(["--data", str(tmp_path / "none.json")]) == 1
    assert "can't read" in capsys.readouterr().err


def test_an_add_that_stores_too_little_is_not_measured():
    class Forgetful:
        def add_batch(self, items: list[object], **_: object) -> Iterator[object]:
            yield from ()

    (sample,) = locomo_data.read(locomo_data.SAMPLE).conversations
    with pytest.raises(MemosError, match="0 of 135"):
        locomo.ingest(Forgetful(), sample, "sample")  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    not DEVELOPMENT.exists(), reason=f"the development data is not at {DEVELOPMENT}"
)
def test_evidence_recall_on_the_development_data(warm_data_dir: Path, tmp_path: Path):
    arguments = ["--data", str(DEVELOPMENT), "--limit-conversations", "2", "--no-baselines"]
    assert locomo.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    ours = report["systems"]["memos"]["1-4"]
    assert ours["n"] > 200
    assert ours["recall@5"] >= 68
    assert ours["recall@10"] >= 76
