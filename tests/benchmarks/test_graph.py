"""The graph benchmark on a small scale: what it records and asks, and how it judges."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from memos.benchmarks import graph
from memos.benchmarks.temporal import networkx_baseline, rendering
from memos.benchmarks.temporal.facts import BEGIN, DENSITY, Facts


def test_the_same_seed_gives_the_same_facts_with_hubs_among_them() -> None:
    facts = Facts(5_000, seed=3)
    told = [fact for batch in facts.batches(700) for fact in batch]
    assert len(told) == 5_000
    assert told == [fact for batch in Facts(5_000, seed=3).batches(999) for fact in batch]
    assert told != [fact for batch in Facts(5_000, seed=4).batches(700) for fact in batch]
    assert facts.entities == 5_000 // DENSITY
    assert [fact.since for fact in told] == sorted(fact.since for fact in told)
    assert told[0].since == BEGIN
    assert all((fact.object is None) != (fact.value is None) for fact in told)
    assert all(fact.subject != fact.object for fact in told)
    degrees = Counter(n for fact in told for n in (fact.subject, fact.object) if n is not None)
    assert degrees.most_common(1)[0][0] == 0
    assert degrees[0] > 50 * sorted(degrees.values())[len(degrees) // 2]
    asked = facts.asked(40, seed=1)
    assert len(asked) == 40
    assert 0 in asked


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_it_records_asks_and_reports(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["--facts", "1500", "--queries", "12", "--batch", "400"]
    code = graph.main([*size, "--database", database, "--out", str(tmp_path / "out")])
    out = capsys.readouterr().out
    assert code == 0
    assert "2 hops as of a time" in out
    found = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert (found["facts"], found["database"], found["queries"]) == (1500, database, 12)
    assert found["load"]["record_per_s"] > 0
    # What functional predicates closed is still there, what was said twice is one.
    assert 1400 <= found["projection"]["facts"] + 1500 * 0.05 <= 1600
    assert found["projection"]["edges"] > found["projection"]["facts"]
    assert found["hub_facts"] > 100
    rows = [
        json.loads(line)
        for line in (tmp_path / "out" / "questions.jsonl").read_text("utf-8").splitlines()
    ]
    assert Counter(row["question"] for row in rows) == dict.fromkeys(rendering.ASKED, 12)
    near = {row["entity"]: row["facts"] for row in rows if row["question"] == "hop1"}
    far = {row["entity"]: row["facts"] for row in rows if row["question"] == "hop2"}
    assert sum(far.values()) > sum(near.values()) > 0
    assert all(n <= graph.LIMIT for n in far.values())
    for kind in ("hop1", "hop2", "triple"):
        assert found["networkx"]["ms"][kind]["n"] > 0


def test_networkx_answers_the_same_questions() -> None:
    facts = Facts(400, seed=5)
    held = networkx_baseline._load(facts)
    assert held.number_of_edges() == 400
    late = BEGIN + timedelta(days=4000)
    told = [fact for batch in facts.batches(100) for fact in batch]
    touching = [fact for fact in told if 0 in (fact.subject, fact.object)]
    assert networkx_baseline._around(held, 0, late, 1, 10_000) <= len(touching)
    assert networkx_baseline._around(held, 0, BEGIN - timedelta(days=1), 2, 10_000) == 0
    assert networkx_baseline._around(held, 0, late, 2, 7) == 7
    likes = [f for f in told if (f.subject, f.predicate) == (0, "likes")]
    assert networkx_baseline._triple(held, 0, "likes", late) == len(likes)
    moves = [f for f in told if f.predicate == "lives_in"]
    mover = Counter(f.subject for f in moves).most_common(1)[0][0]
    assert networkx_baseline._triple(held, mover, "lives_in", late) == 1


def data(**changed: Any) -> dict[str, Any]:
    found = {
        "facts": 1_000_000,
        "database": "postgresql",
        "ms": {"hop2": {"p95": 49.0}},
        "load": {"record_per_s": 5_001.0},
    }
    return {**found, **changed}


@pytest.mark.parametrize(
    ("changed", "met"),
    [
        ({}, [True, True]),
        ({"ms": {"hop2": {"p95": 51.0}}}, [False, True]),
        ({"load": {"record_per_s": 4_999.0}}, [True, False]),
        ({"facts": 999}, [None, True]),
        ({"database": "sqlite"}, [None, True]),
    ],
)
def test_targets_are_judged(changed: dict[str, Any], met: list[bool | None]) -> None:
    assert [item["met"] for item in rendering.targets(data(**changed))] == met
