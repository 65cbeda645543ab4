"""The extractor's benchmark on a small scale: what it measures, and against what it judges."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from memos.benchmarks import extraction
from memos.benchmarks.temporal import supersession
from memos.benchmarks.temporal.supersession import Closing, Shown
from memos.errors import ExtractionFailed, InvalidInput
from memos.types import Extraction, Memory, NewMemory

LOCOMO = Path(__file__).parents[3] / "shared" / "locomo" / "locomo_dev.json"

TALK = {
    "sample_id": "own",
    "conversation": {
        "speaker_a": "Ann",
        "speaker_b": "Bob",
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": "Ann", "dia_id": "D1:1", "text": "I live in Rome and I love jazz."},
            {"speaker": "Bob", "dia_id": "D1:2", "text": "Nice! I live in Bonn."},
        ],
        "session_2_date_time": "1:56 pm on 8 July, 2023",
        "session_2": [
            {"speaker": "Ann", "dia_id": "D2:1", "text": "I moved to Oslo last week!"},
            {"speaker": "Ann", "dia_id": "D2:2", "text": "I love sailing here."},
        ],
    },
    "qa": [],
}


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    file = tmp_path / "talk.json"
    file.write_text(json.dumps([TALK]))
    return file


def labelled(folder: Path, **verdicts: str) -> Path:
    file = folder / "labels.json"
    rows = [
        {"conversation": "own", "closed": "D1:1", "closing": closing, "predicate": p, "label": v}
        for p, v in verdicts.items()
        for closing in ("D2:1" if p == "lives_in" else "D2:2",)
    ]
    file.write_text(json.dumps(rows))
    return file


def test_a_run_measures_all_three_and_writes_no_text(talk: Path, tmp_path: Path) -> None:
    labels = labelled(tmp_path, lives_in="related", likes="unrelated")
    out = tmp_path / "out"
    argv = ["--data", str(talk), "--labels", str(labels), "--limit-cases", "3", "--out", str(out)]
    assert extraction.main(argv) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["speed"]["turns"] == 4
    assert report["speed"]["failed"] == 0
    assert report["speed"]["turns_per_s"] > 0
    assert report["temporal_cases"]["all"]["cases"] == 3
    found = report["supersessions"]
    assert found["closings"] == found["retired_related"] == 1
    assert found["retired_unrelated"] == 0
    assert found["labelled"] == 2
    rows = (out / "supersessions.jsonl").read_text()
    assert '"closed": "D1:1", "closing": "D2:1", "predicate": "lives_in"' in rows
    for file in out.iterdir():
        text = file.read_text().lower()
        assert "oslo" not in text
        assert "sailing" not in text


def test_a_retired_fact_that_is_labelled_unrelated_is_counted(talk: Path, tmp_path: Path) -> None:
    labels = supersession.labels(labelled(tmp_path, lives_in="unrelated"))
    read = supersession.read(talk, tmp_path / "data")
    assert supersession.judged(read.shown, labels)["retired_unrelated"] == 1
    data = {
        "speed": {"turns_per_s": 500.0},
        "temporal_cases": {"all": {"precision": 1.0, "recall": 0.9, "answers_exact": 1.0}},
        "supersessions": supersession.judged(read.shown, labels),
    }
    met = {t["target"]: t["met"] for t in extraction.targets(data)}
    assert met["unrelated facts retired"] is False
    assert met["labelled pairs judged"] is False
    assert met["supersession recall"] is True


def test_a_candidate_is_what_a_looser_rule_would_end(talk: Path, tmp_path: Path) -> None:
    read = supersession.read(talk, tmp_path / "data")
    pairs = {(one.closing.predicate, one.before, one.after, one.candidate) for one in read.shown}
    assert ("lives_in", "Rome", "Oslo", False) in pairs
    assert ("likes", "jazz", "sailing", True) in pairs
    assert not any("Bonn" in pair for pair in pairs)


class Slow:
    """Fails at every other memory."""

    name = "slow-1"

    def extract(
        self, memories: Sequence[Memory], *, before: Sequence[Memory] = ()
    ) -> list[Extraction | ExtractionFailed]:
        return [
            ExtractionFailed("no") if memory.position % 2 else Extraction() for memory in memories
        ]


def test_what_fails_is_counted() -> None:
    found = extraction.speed(Slow(), [NewMemory(content="a") for _ in range(10)])
    assert (found["turns"], found["failed"], found["claims"]) == (10, 5, 0)


def test_the_labels_name_turns_and_no_text() -> None:
    labels = supersession.labels()
    assert len(labels) >= 200
    assert set(labels.values()) <= set(supersession.VERDICTS)
    raw = json.loads(supersession.LABELS.read_text())
    for row in raw:
        assert set(row) == {"conversation", "closed", "closing", "predicate", "label"}
        assert row["closed"][0] == row["closing"][0] == "D"


def test_labels_of_another_form_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_text('[{"conversation": "a"}]')
    with pytest.raises(InvalidInput, match=r"labels\.json"):
        supersession.labels(file)
    with pytest.raises(InvalidInput, match="perhaps"):
        supersession.labels(labelled(tmp_path, lives_in="perhaps"))


def test_a_row_says_what_was_judged() -> None:
    closing = Closing("own", "D1:1", "D2:1", "lives_in")
    one = Shown(closing, "Ann", "Rome", "Oslo", "superseded", 0.8)
    assert supersession.as_row(one, {closing: "related"}) == {
        "conversation": "own",
        "closed": "D1:1",
        "closing": "D2:1",
        "predicate": "lives_in",
        "retired": True,
        "rule": "superseded",
        "confidence": 0.8,
        "label": "related",
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_unrelated_is_retired_over_real_conversations(tmp_path: Path) -> None:
    if not LOCOMO.exists():
        pytest.skip(f"needs the conversations at {LOCOMO}")
    read = supersession.read(LOCOMO, tmp_path)
    found = supersession.judged(read.shown, supersession.labels())
    assert found["retired_unrelated"] == 0
    assert found["unlabelled_closings"] == 0
    assert found["labelled"] >= 200
