"""The temporal cases through a whole service: what must be ended is, and nothing else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from memos.benchmarks.temporal import cases as temporal_cases
from memos.benchmarks.temporal.cases import Case, Outcome, problems, run, summary, time
from memos.errors import InvalidInput

CATEGORIES = {
    "statements",
    "corrections",
    "moves",
    "job changes",
    "no longer",
    "used to",
    "time zones",
    "leap days",
    "relative dates",
    "retroactive news",
    "undo",
    "negation",
    "multi-valued side by side",
    "hypotheticals",
    "other people's facts",
    "two speakers",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    return list(run(temporal_cases.read(), tmp_path_factory.mktemp("cases")))


def test_the_cases_are_many_and_of_all_kinds() -> None:
    cases = temporal_cases.read()
    assert len(cases) >= 170
    assert len({case.id for case in cases}) == len(cases)
    assert set(Counter(case.category for case in cases)) == CATEGORIES
    held_out = [case for case in cases if case.held_out]
    assert len(held_out) >= 0.3 * len(cases)
    assert {case.category for case in held_out} == CATEGORIES
    for case in cases:
        assert case.steps, case.id
        turns = [at for _, at, _ in case.turns]
        assert turns == sorted(turns), case.id


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_is_superseded_is_right_and_little_is_missed(outcomes: list[Outcome]) -> None:
    found = summary(outcomes)
    assert found["precision"] >= 0.98, [problems(o) for o in outcomes if o.closings - o.expected]
    assert found["recall"] >= 0.85
    assert found["extraction_recall"] >= 0.9
    assert found["answers_exact"] >= 0.98, [o.wrong for o in outcomes if o.wrong]
    assert found["supersessions"]["expected"] >= 80


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_cases_that_were_not_looked_at_come_out_as_well(outcomes: list[Outcome]) -> None:
    found = summary([outcome for outcome in outcomes if outcome.case.held_out])
    assert found["precision"] >= 0.95
    assert found["recall"] >= 0.85
    assert found["answers_exact"] >= 0.97


def measured(tmp_path: Path, **given: object) -> Outcome:
    base = {
        "id": "own-1",
        "category": "moves",
        "held_out": False,
        "zone": time("2023-01-01T00:00Z").tzinfo,
        "turns": (
            ("Nora", time("2023-01-05T10:00Z"), "I live in Milan."),
            ("Nora", time("2023-03-05T10:00Z"), "I moved to Rome."),
        ),
    }
    [outcome] = run([Case(**{**base, **given})], tmp_path)  # type: ignore[arg-type]
    return outcome


MILAN, ROME = ["Nora", "lives_in", "Milan"], ["Nora", "lives_in", "Rome"]


def test_a_right_case_has_no_problems(tmp_path: Path) -> None:
    steps = (
        {"as_of": "2023-02-01T00:00Z", "true": [MILAN], "false": [ROME]},
        {"as_of": "2023-04-01T00:00Z", "known_as_of": "2023-02-01T00:00Z", "true": [MILAN]},
        {"closed": MILAN, "by": 2},
        {"kept": ROME},
        {"from": ROME, "at": "2023-03-05T10:00Z", "granularity": None},
        {"forget": 2},
        {"kept": MILAN},
    )
    outcome = measured(tmp_path, steps=steps)
    assert problems(outcome) == []
    assert summary([outcome])["precision"] == summary([outcome])["recall"] == 1.0
    assert outcome.asked == 6


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ({"as_of": "2023-04-01T00:00Z", "true": [MILAN]}, "is not true as of"),
        ({"as_of": "2023-04-01T00:00Z", "false": [ROME]}, "is true as of"),
        ({"kept": MILAN}, "is not open"),
        ({"from": ROME, "at": "2023-02-01T00:00Z", "granularity": "day"}, "began"),
        ({"until": MILAN, "at": "2022-02-01T00:00Z"}, "ended"),
        ({"known": ["Nora", "lives_in", "Oslo"]}, "not found"),
        ({"closed": ROME, "by": 1}, "not closed"),
    ],
)
def test_a_wrong_answer_is_told(tmp_path: Path, step: dict[str, object], problem: str) -> None:
    outcome = measured(tmp_path, steps=(step,))
    told = [text for text in problems(outcome) if problem in text]
    assert told, problems(outcome)


def test_an_unexpected_closing_costs_precision(tmp_path: Path) -> None:
    outcome = measured(tmp_path, steps=({"kept": ROME},))
    assert summary([outcome])["precision"] == 0.0
    assert summary([outcome])["recall"] is None


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cases.json"
    file.write_text('[{"id": "x"}]')
    with pytest.raises(InvalidInput, match=r"cases\.json"):
        temporal_cases.read(file)
