"""The benchmark of cubes in files on a small cube: each way runs; what is loaded is the same."""

import json

import pytest

from memos.benchmarks import dumps


def test_every_way_out_and_in_is_measured(tmp_path, capsys):
    sizes = ["--memories=60", "--facts=20", "--repeats=2", "--databases=sqlite"]
    assert dumps.main([*sizes, f"--out={tmp_path / 'out'}"]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["same"]
    ways = {line["what"]: line for line in report["ways"]}
    assert len(ways) == 6
    assert all(line["memories_per_s"] > 0 for line in ways.values())
    assert ways["memos dump, SQLite"]["bytes"] > 0
    assert report["raw"]["times"]["rows"] == 12
    assert "answered the same questions" in capsys.readouterr().out


def test_another_answer_fails(monkeypatch):
    answers = iter(range(100))
    monkeypatch.setattr(dumps, "_answers", lambda *_: [next(answers)])
    assert dumps.main(["--memories=20", "--facts=0", "--repeats=1", "--databases=sqlite"]) == 1


def test_an_unknown_database_is_refused(capsys):
    with pytest.raises(SystemExit):
        dumps.main(["--databases", "oracle"])
    assert "no database" in capsys.readouterr().err
