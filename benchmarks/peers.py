"""memos beside mem0 on the same machine: adding and searching the same texts, without any LLM.

Each system runs alone, one after the other, in a process and environment of its own, with the same
embedder weights (their digests are compared), the same threads and no network, through the script
`peer_systems/measure.py`. memos runs twice, with its default embedder runtime and with the one that
mem0 uses, so that the difference of runtimes can be told from that of the systems. Knows nothing of
how the systems work.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import memos
from memos.benchmarks import report
from memos.benchmarks.retrieval import evidence_metrics
from memos.benchmarks.texts import locomo_data
from memos.errors import ConfigError, MemosError, MissingDependency

NAME = "Peers: add and search"
SCRIPT = Path(__file__).resolve().parent / "peer_systems" / "measure.py"
METRICS = ("recall@1", "recall@5", "recall@10", "ndcg@10")
_PLOT = "peers.png"
_WIDTH = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One system in one configuration. `kind` is its name in the measuring script."""

    label: str
    kind: str
    python: Path
    options: Mapping[str, str]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs every system, writes the report and prints it."""
    options = _options(argv)
    try:
        dataset = locomo_data.read(options.data, limit=options.limit_conversations)
        environment = report.environment(seed=options.seed, threads=options.threads)
        measured = run(contenders(options.peer_python), dataset, threads=options.threads)
        data = summarise(measured, dataset, seed=options.seed)
    except MemosError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    _show(data)
    if options.out is not None:
        print(f"report: {write(data, measured, environment, options.out)}")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="memos bench peers", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, default=locomo_data.SAMPLE, help="conversations in LoCoMo's format")
    add("--out", type=Path, help="folder for report.json, report.md, plot and raw rows")
    add(
        "--peer-python",
        type=Path,
        default=Path(".venv-peers/bin/python"),
        help="Python of the environment with the peers (`make bench-peers` makes it)",
    )
    add("--threads", type=int, default=os.cpu_count() or 1, help="for each system's embedder")
    add("--limit-conversations", type=int, metavar="N", help="only the first N")
    add("--seed", type=int, default=0, help="of the bootstrap intervals")
    return parser.parse_args(argv)


def contenders(peer_python: Path) -> list[Contender]:
    """memos in two configurations, and the peer. MissingDependency without the peer's Python."""
    if not peer_python.exists():
        raise MissingDependency(
            f"no Python at {peer_python}; `make bench-peers` makes the peers' environment, or "
            "install benchmarks/peer_systems/peers-requirements.txt in one and give --peer-python"
        )
    here = Path(sys.executable)
    return [
        Contender(label="memos", kind="memos", python=here, options={}),
        Contender(
            label="memos-torch", kind="memos", python=here, options={"embedding_backend": "torch"}
        ),
        # Not resolved: a link is how Python finds that it is in an environment.
        Contender(label="mem0", kind="mem0", python=peer_python.absolute(), options={}),
    ]


def run(
    systems: Sequence[Contender], dataset: locomo_data.Dataset, *, threads: int
) -> dict[str, dict[str, Any]]:
    """Each contender's raw measurements by label. ConfigError if they differ in their weights."""
    measured = {}
    with tempfile.TemporaryDirectory(prefix="memos-peers-") as folder:
        for each in systems:
            print(f"measuring {each.label} …", file=sys.stderr)
            measured[each.label] = _measure(each, dataset, Path(folder), threads=threads)
    digests = {label: found["weights_sha256"] for label, found in measured.items()}
    if len(set(digests.values())) > 1:
        raise ConfigError(f"the systems have different embedder weights: {digests}")
    return measured


def _measure(
    contender: Contender, dataset: locomo_data.Dataset, folder: Path, *, threads: int
) -> dict[str, Any]:
    task = folder / f"{contender.label}.json"
    result = folder / f"{contender.label}-result.json"
    task.write_text(
        json.dumps(
            {
                "label": contender.label,
                "options": dict(contender.options),
                "conversations": [_as_task(each) for each in dataset.conversations],
            }
        ),
        encoding="utf-8",
    )
    done = subprocess.run(
        [str(contender.python), str(SCRIPT), contender.kind, str(task), str(result)],
        env=_environment(contender, threads=threads),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConfigError(
            f"{contender.label} failed with exit code {done.returncode}:\n{done.stderr[-3000:]}"
        )
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return found


def _as_task(conversation: locomo_data.Conversation) -> dict[str, Any]:
    """What any system is given: the words of each turn with who and when, and the questions."""
    return {
        "id": conversation.id,
        "texts": [
            {
                "id": turn.dia_id,
                "text": turn.words,
                "speaker": turn.speaker,
                "session": f"session-{turn.session}",
                "at": turn.said_at.isoformat(),
            }
            for turn in conversation.turns
        ],
        "questions": [question.text for question in conversation.questions],
    }


def _environment(contender: Contender, *, threads: int) -> dict[str, str]:
    """The same for all, but for where memos is: what a shell has set for memos stays out."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEMOS_")}
    kept |= {
        "OMP_NUM_THREADS": str(threads),
        # Threads that spin while they wait starve each other where a core is not free.
        "OMP_WAIT_POLICY": "passive",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "ANONYMIZED_TELEMETRY": "False",
    }
    if contender.kind == "memos":
        kept["MEMOS_EMBEDDING_THREADS"] = str(threads)
        root = str(Path(memos.__file__).resolve().parents[1])
        kept["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [kept.get("PYTHONPATH")])])
    else:
        kept.pop("PYTHONPATH", None)
    return kept


def summarise(
    measured: Mapping[str, Mapping[str, Any]], dataset: locomo_data.Dataset, *, seed: int
) -> dict[str, Any]:
    """The fields of report.json."""
    questions = dataset.questions
    systems: dict[str, Any] = {}
    costs: dict[str, Any] = {}
    for label, found in measured.items():
        scores = [
            evidence_metrics.score(ranked, question.evidence)
            for ranked, question in zip(found["ranked"], questions, strict=True)
        ]
        groups = evidence_metrics.summarise(
            scores, [question.category for question in questions], seed=seed
        )
        systems[label] = {
            group: {
                name: value
                for name, value in values.items()
                if name == "n" or name.removesuffix("_ci95") in METRICS
            }
            for group, values in groups.items()
        }
        costs[label] = _costs(found)
    return {
        "systems": systems,
        "unit": "percent",
        "costs": costs,
        "data": {
            "file": dataset.file.name,
            "sha256": dataset.sha256,
            "texts": sum(len(each.turns) for each in dataset.conversations),
            "questions": len(questions),
        },
        "weights_sha256": next(iter(measured.values()))["weights_sha256"],
    }


def _costs(found: Mapping[str, Any]) -> dict[str, Any]:
    """Rates and times; a bulk call adds up to 256 texts, all of them other ones than before."""
    texts = len(found["add_ms"])
    return {
        "configuration": found["configuration"],
        "add_ms": report.percentiles(found["add_ms"]),
        "adds_per_second": round(1000 * texts / sum(found["add_ms"]), 1),
        "bulk_adds_per_second": round(1000 * texts / sum(found["bulk_ms"]), 1),
        "search_ms": report.percentiles(found["search_ms"]),
        "start_s": round(found["start_s"], 2),
        "peak_rss_mib": round(found["peak_rss_mib"]),
    }


_HEADERS = (
    "system",
    "adds/s",
    "add p50 ms",
    "add p95 ms",
    "bulk adds/s",
    "search p50 ms",
    "search p95 ms",
    "recall@10",
    "95 %",
    "peak MiB",
)


def _rows(data: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for label, cost in data["costs"].items():
        found = data["systems"][label]["1-4"]
        low, high = found["recall@10_ci95"]
        rows.append(
            [
                label,
                f"{cost['adds_per_second']:.0f}",
                f"{cost['add_ms']['p50']:.1f}",
                f"{cost['add_ms']['p95']:.1f}",
                f"{cost['bulk_adds_per_second']:.0f}",
                f"{cost['search_ms']['p50']:.1f}",
                f"{cost['search_ms']['p95']:.1f}",
                f"{found['recall@10']:.1f}",
                f"{low:.1f}–{high:.1f}",
                f"{cost['peak_rss_mib']}",
            ]
        )
    return rows


def _show(data: Mapping[str, Any]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.width = console.width if console.is_terminal else _WIDTH
    title = f"{NAME}, {data['data']['texts']:,} texts"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for number, header in enumerate(_HEADERS):
        table.add_column(header, justify="right" if number else "left")
    for row in _rows(data):
        table.add_row(*row)
    console.print(table)


def write(
    data: Mapping[str, Any],
    measured: Mapping[str, Mapping[str, Any]],
    environment: Mapping[str, Any],
    out: Path,
) -> Path:
    """report.json, report.md, plot and raw rows into `out`; the path of report.json."""
    out.mkdir(parents=True, exist_ok=True)
    _plot(data, out / _PLOT)
    configurations = "\n".join(
        f"- {label}: " + ", ".join(f"{k} {v}" for k, v in cost["configuration"].items())
        for label, cost in data["costs"].items()
    )
    text = (
        "The same texts and questions, one system at a time, each in its own process: the same "
        "machine, threads and embedder weights, no network, no LLM. A single add is one call for "
        "one text, answered when it can be found; a bulk call has up to 256 texts. Recall is of "
        "evidence turns, categories 1-4.\n\n"
        f"{report.table(_HEADERS, _rows(data))}\n\n![Times]({_PLOT})\n\n{configurations}\n\n"
        f"Embedder weights: SHA-256 {data['weights_sha256']}"
    )
    raw = (
        {"system": label, "call": call, "ms": round(ms, 3)}
        for label, found in measured.items()
        for call in ("add", "bulk", "search")
        for ms in found[f"{call}_ms"]
    )
    return report.write_report(out, NAME, data, text, environment=environment, rows={"calls": raw})


def _plot(data: Mapping[str, Any], path: Path) -> None:
    """p50 with p95 above it, of single adds and searches."""
    figure = report.figure(8, 3.5)
    axes = figure.subplots(1, 2)
    labels = list(data["costs"])
    for axis, call in zip(axes, ("add_ms", "search_ms"), strict=True):
        times = [data["costs"][label][call] for label in labels]
        p50 = [of["p50"] for of in times]
        axis.bar(labels, p50, yerr=[[0.0] * len(p50), [of["p95"] - of["p50"] for of in times]])
        axis.set(title=f"{call.removesuffix('_ms')}, p50 and p95", ylabel="ms")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    raise SystemExit(main())
