"""The rule extractor: turns per second on one core, the temporal cases, and what it ends unduly.

Three measurements in one run: speed over turns as they come, the temporal cases through a service
(temporal/cases.py), and, where conversations in LoCoMo's format are given, every fact that another
statement ended there, against labels made by hand (temporal/supersession.py). No text of the
conversations is written anywhere.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memos.benchmarks import report
from memos.benchmarks.temporal import cases as temporal_cases
from memos.benchmarks.temporal import supersession
from memos.benchmarks.texts import locomo_data
from memos.benchmarks.texts.conversations import Conversations
from memos.errors import ExtractionFailed, MemosError
from memos.types import Kind, Memory, NewMemory, State

if TYPE_CHECKING:
    from memos.protocols import Extractor

BATCH = 64
WARM_UP = 64
TARGETS = {"turns_per_s": 150.0, "precision": 0.98, "recall": 0.85, "labelled": 200}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, writes the report and prints it. Exit code 1 for an error of ours."""
    options = _options(argv)
    environment = report.environment(seed=options.seed)
    try:
        data, rows = run(options)
    except MemosError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    environment["load_1m_end"] = report.environment()["load_1m"]
    text = markdown(data)
    print(f"{report.describe(environment)}\n\n{text}")
    if options.out is not None:
        path = report.write_report(
            options.out, "extraction", data, text, environment=environment, rows=rows
        )
        print(f"\nreport: {path}; raw rows beside it")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="memos bench extraction", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, help="conversations in LoCoMo's format, for speed and supersessions")
    add("--cases", type=Path, default=temporal_cases.CASES, help="the temporal cases")
    add("--labels", type=Path, default=supersession.LABELS, help="labels of supersessions")
    add("--limit-conversations", type=int, metavar="N", help="only the first N")
    add("--limit-cases", type=int, metavar="N", help="only the first N")
    add("--turns", type=int, default=2_000, help="turns of the speed measurement, at most")
    add("--seed", type=int, default=0, help="of the made-up turns, where no data are given")
    add("--out", type=Path, help="folder for report.json, report.md and raw rows")
    return parser.parse_args(argv)


def run(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """The report's data, and raw rows."""
    from memos.extraction.rules import RulesExtractor

    _say("speed")
    data: dict[str, Any] = {"speed": speed(RulesExtractor(), _turns(options))}
    rows: dict[str, list[dict[str, Any]]] = {}
    _say("temporal cases")
    cases = temporal_cases.read(options.cases)[: options.limit_cases]
    with tempfile.TemporaryDirectory(prefix="memos-extraction-") as folder:
        outcomes = list(temporal_cases.run(cases, Path(folder)))
    data["temporal_cases"] = {
        "all": temporal_cases.summary(outcomes),
        "seen": temporal_cases.summary([o for o in outcomes if not o.case.held_out]),
        "held_out": temporal_cases.summary([o for o in outcomes if o.case.held_out]),
    }
    rows["cases"] = [
        {
            "id": o.case.id,
            "held_out": o.case.held_out,
            "problems": temporal_cases.problems(o),
        }
        for o in outcomes
    ]
    if options.data is not None:
        _say("supersessions")
        data["supersessions"], rows["supersessions"] = _supersessions(options)
    data["targets"] = targets(data)
    return data, rows


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


def _supersessions(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    labels = supersession.labels(options.labels)
    with tempfile.TemporaryDirectory(prefix="memos-supersession-") as folder:
        read = supersession.read(options.data, Path(folder), limit=options.limit_conversations)
    found = {"turns": read.turns, "facts": read.facts, **supersession.judged(read.shown, labels)}
    return found, [supersession.as_row(one, labels) for one in read.shown]


def _turns(options: argparse.Namespace) -> list[NewMemory]:
    if options.data is None:
        return list(Conversations(options.seed).turns(options.turns))
    dataset = locomo_data.read(options.data, limit=options.limit_conversations)
    turns = [turn.as_memory() for each in dataset.conversations for turn in each.turns]
    return turns[: options.turns]


def speed(extractor: Extractor, turns: Sequence[NewMemory]) -> dict[str, Any]:
    """Turns per second of this process's CPU time, so of one core whatever else runs, and of wall
    time; in batches, each with the turns before it, as the service asks."""
    memories = [_memory(turn, number) for number, turn in enumerate(turns)]
    extractor.extract(memories[:WARM_UP])  # the model is loaded
    claims = failed = 0
    begun, cpu_begun = time.perf_counter(), time.process_time()
    for start in range(0, len(memories), BATCH):
        part = memories[start : start + BATCH]
        before = memories[max(0, start - 8) : start]
        for found in extractor.extract(part, before=before):
            if isinstance(found, ExtractionFailed):
                failed += 1
            else:
                claims += len(found.claims)
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu_begun
    return {
        "turns": len(memories),
        "characters": sum(len(memory.content) for memory in memories),
        "claims": claims,
        "failed": failed,
        "turns_per_s": round(len(memories) / cpu, 1),
        "turns_per_s_wall": round(len(memories) / wall, 1),
    }


def _memory(turn: NewMemory, number: int) -> Memory:
    at = turn.occurred_at or temporal_cases.START + timedelta(minutes=number)
    return Memory(
        id=f"turn-{number}",
        cube_id="speed",
        content=turn.content,
        kind=Kind.EPISODIC,
        state=State.ACTIVATED,
        version=1,
        position=number + 1,
        user_id=turn.user_id,
        agent_id=turn.agent_id,
        session_id=turn.session_id,
        speaker=turn.speaker,
        occurred_at=at,
        place=turn.place,
        images=turn.images,
        metadata={},
        priority=turn.priority,
        expires_at=None,
        provenance=turn.provenance,
        created_at=at,
        updated_at=at,
    )


def targets(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Each with what it asks, what was measured and whether that is enough."""
    cases = data["temporal_cases"]["all"]
    found = [
        _target("turns/s on one core", TARGETS["turns_per_s"], data["speed"]["turns_per_s"]),
        _target("supersession precision", TARGETS["precision"], cases["precision"]),
        _target("supersession recall", TARGETS["recall"], cases["recall"]),
        _target("as-of answers exact", 0.98, cases["answers_exact"]),
    ]
    if "supersessions" in data:
        of = data["supersessions"]
        found.append(_target("labelled pairs judged", TARGETS["labelled"], of["labelled"]))
        retired = of["retired_unrelated"]
        found.append(
            {"target": "unrelated facts retired", "asked": 0, "got": retired, "met": retired == 0}
        )
    return found


def _target(name: str, asked: float, got: float | None) -> dict[str, Any]:
    return {"target": name, "asked": asked, "got": got, "met": got is not None and got >= asked}


def markdown(data: dict[str, Any]) -> str:
    """The figures as tables."""
    speed_of, cases = data["speed"], data["temporal_cases"]
    parts = [
        "## Speed",
        report.table(list(speed_of), [list(speed_of.values())]),
        "## Temporal cases",
        report.table(
            ["cases", "n", "expected", "found", "right", "precision", "recall", "extracted",
             "answers", "exact"],
            [_case_row(name, cases[name]) for name in ("all", "seen", "held_out")],
        ),
    ]  # fmt: skip
    if "supersessions" in data:
        of = data["supersessions"]
        parts += ["## Supersessions in the conversations", report.table(list(of), [of.values()])]
    rows = [
        [t["target"], t["asked"], t["got"], "yes" if t["met"] else "no"] for t in data["targets"]
    ]
    parts += ["## Targets", report.table(["target", "asked", "got", "met"], rows)]
    return "\n\n".join(parts)


def _yes(met: bool) -> str:
    return "yes" if met else "no"


def _case_row(name: str, of: dict[str, Any]) -> list[object]:
    counts = of["supersessions"]
    return [
        name, of["cases"], counts["expected"], counts["found"], counts["right"], of["precision"],
        of["recall"], of["extraction_recall"], of["answers"], of["answers_exact"],
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
