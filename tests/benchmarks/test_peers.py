"""The peers' benchmark with memos as its only contender: a peer's environment is not at hand here.

`make bench-peers` makes that environment and runs all.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from memos.benchmarks import peers
from memos.benchmarks.texts import locomo_data
from memos.errors import ConfigError, MissingDependency


@pytest.fixture(scope="module")
def dataset() -> locomo_data.Dataset:
    return locomo_data.read(locomo_data.SAMPLE)


def here(label: str, **options: str) -> peers.Contender:
    return peers.Contender(label=label, kind="memos", python=Path(sys.executable), options=options)


@pytest.mark.slow
def test_a_run_measures_adds_searches_and_recall(dataset: locomo_data.Dataset, tmp_path: Path):
    measured = peers.run([here("memos")], dataset, threads=1)
    found = measured["memos"]
    assert len(found["add_ms"]) == 135
    assert len(found["bulk_ms"]) == 1
    assert len(found["search_ms"]) == len(found["ranked"]) == 37
    data = peers.summarise(measured, dataset, seed=0)
    assert data["systems"]["memos"]["1-4"]["recall@10"] > 80
    assert data["costs"]["memos"]["adds_per_second"] > 0
    path = peers.write(data, measured, {"versions": {}}, tmp_path / "out")
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["raw"]["calls"]["rows"] == 135 + 1 + 37
    assert report["weights_sha256"].startswith("53aa51172d14")
    assert (tmp_path / "out" / "peers.png").exists()


def test_all_systems_are_given_the_same(dataset: locomo_data.Dataset):
    task = peers._as_task(dataset.conversations[0])
    assert len(task["texts"]) == 135
    assert "tarifa" not in json.dumps(task).lower()
    assert set(task["texts"][0]) == {"id", "text", "speaker", "session", "at"}


def test_without_the_peers_environment_the_error_says_what_to_do(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    with pytest.raises(MissingDependency, match="make bench-peers"):
        peers.contenders(tmp_path / "python")
    assert peers.main(["--peer-python", str(tmp_path / "python")]) == 1
    assert "make bench-peers" in capsys.readouterr().err


def test_a_contender_that_fails_ends_the_run(dataset: locomo_data.Dataset):
    with pytest.raises(ConfigError, match=r"memos-odd failed.*(?s:.)*embedding_backend"):
        peers.run([here("memos-odd", embedding_backend="abacus")], dataset, threads=1)


def test_different_weights_are_not_compared(
    dataset: locomo_data.Dataset, monkeypatch: pytest.MonkeyPatch
):
    digests = iter(["a", "b"])
    monkeypatch.setattr(peers, "_measure", lambda *_, **__: {"weights_sha256": next(digests)})
    with pytest.raises(ConfigError, match="different embedder weights"):
        peers.run([here("one"), here("two")], dataset, threads=1)


def test_the_measuring_process_reaches_no_other_machine():
    code = (
        "import socket, measure\n"
        "measure.refuse_network()\n"
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))\n"
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))\n"
    )
    done = subprocess.run(
        [sys.executable, "-E", "-c", code], cwd=peers.SCRIPT.parent, capture_output=True, text=True
    )
    assert "PermissionError: this benchmark runs without network: 192.0.2.1" in done.stderr
