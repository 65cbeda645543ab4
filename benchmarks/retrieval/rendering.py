"""A LoCoMo result as Markdown, plot and terminal tables. Knows layout, measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memos.benchmarks import report
from memos.benchmarks.fusion_fit import rows_of
from memos.benchmarks.retrieval.evidence_metrics import GROUPS
from memos.benchmarks.retrieval.result import OURS, Result
from memos.benchmarks.texts.locomo_data import CATEGORIES

NAME = "LoCoMo evidence retrieval"
_SHOWN = (
    *(f"recall@{k}" for k in (1, 5, 10, 20, 50)),
    *(f"{kind}@10" for kind in ("any", "all", "ndcg")),
    "mrr",
    "session_recall@5",
)
_SHORT = {
    **{f"recall@{k}": f"R@{k}" for k in (1, 5, 10, 20, 50)},
    "session_recall@5": "session R@5",
}
_PLOT = "recall.png"
_WIDTH = 140


def group_title(group: str) -> str:
    """`2` → `2 temporal`; ranges stay as they are."""
    return f"{group} {CATEGORIES[int(group)]}" if group.isdigit() else group


def show(result: Result) -> None:
    """Prints the comparison, our figures by category, and the run's cost."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    # A pipe has no width of its own; tables folded to rich's 80 columns can't be read.
    console.width = console.width if console.is_terminal else _WIDTH
    for title, headers, rows in _tables(result):
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for number, header in enumerate(headers):
            table.add_column(_SHORT.get(header, header), justify="right" if number else "left")
        for row in rows:
            table.add_row(*row, style="bold" if row[0] == OURS else None)
        console.print(table)
    for line in _facts(result):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def write(result: Result, out: Path) -> Path:
    """report.json, report.md, the plot and answers.jsonl into `out`; the path of report.json."""
    out.mkdir(parents=True, exist_ok=True)
    _plot(result, out / _PLOT)
    return report.write_report(
        out,
        NAME,
        result.as_report(),
        _markdown(result),
        environment=result.environment,
        rows={"answers": (answer.as_row() for answer in result.answers)},
    )


def _tables(result: Result) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, headers and cells of each table, the same in the terminal and in Markdown."""
    systems = result.systems
    n = systems[OURS]["1-4"]["n"]
    headers = ["system", *_SHOWN]
    compared = [
        [name, *(_value(groups["1-4"], metric) for metric in _SHOWN)]
        for name, groups in systems.items()
    ]
    intervals = [
        [name, *(_interval(groups["1-4"], metric) for metric in _SHOWN)]
        for name, groups in systems.items()
    ]
    by_group = [
        [
            group_title(group),
            str(systems[OURS][group]["n"]),
            *(_value(systems[OURS][group], metric) for metric in _SHOWN),
        ]
        for group in GROUPS
    ]
    recall = [
        [name, *(_with_interval(groups[group], "recall@10") for group in GROUPS)]
        for name, groups in systems.items()
    ]
    places = [
        [name, *(f"{_value(of, 'recall@5')} / {_value(of, 'recall@10')}" for of in each.values())]
        for name, each in result.by_conversation().items()
    ]
    ids = [each.id for each in result.dataset.conversations]
    ablation = []
    if result.ablation:
        ablation = [("What each channel of the fusion is worth", *rows_of(result.ablation))]
    return [
        (f"Turn level, categories 1-4, n = {n}, percent", headers, compared),
        ("The same, 95 % intervals", headers, intervals),
        (f"{OURS} by category", ["category", "n", *_SHOWN], by_group),
        (
            "Recall@10 by category, 95 % intervals",
            ["system", *(group_title(group) for group in GROUPS)],
            recall,
        ),
        ("Recall@5 / Recall@10 by conversation, categories 1-4", ["system", *ids], places),
        *ablation,
    ]


def _value(group: dict[str, Any], metric: str) -> str:
    return "–" if group[metric] is None else f"{group[metric]:.1f}"


def _interval(group: dict[str, Any], metric: str) -> str:
    bounds = group[f"{metric}_ci95"]
    return "–" if bounds is None else f"{bounds[0]:.1f}–{bounds[1]:.1f}"


def _with_interval(group: dict[str, Any], metric: str) -> str:
    value = _value(group, metric)
    return value if value == "–" else f"{value} ({_interval(group, metric)})"


def _facts(result: Result) -> list[str]:
    latency, tokens, ingest = result.latency(), result.tokens(), result.ingest()
    times = "; ".join(
        f"{label} p50 {of['p50']:.1f}, p95 {of['p95']:.1f}, p99 {of['p99']:.1f}"
        for label, of in (
            ("in all", latency["total"]),
            ("embedding the question", latency["embed"]),
            ("beyond embedding", latency["search"]),
        )
    )
    exclusions = result.exclusions()
    reasons = ", ".join(f"{count} × {why}" for why, count in exclusions["by_reason"].items())
    return [
        f"Search in ms: {times}.",
        f"Ingest: {ingest['turns']:,} turns in {ingest['seconds']:.1f} s, "
        f"{ingest['turns_per_second']:.0f} a second.",
        f"Tokens returned, mean: {tokens['10']['mean']:.0f} in 10 hits, "
        f"{tokens['50']['mean']:.0f} in 50.",
        f"Left out: {exclusions['count']} questions" + (f" ({reasons})." if reasons else "."),
        f"Weights of the fusion: {result.weights}.",
        f"Data: {result.dataset.file.name}, SHA-256 {result.dataset.sha256}.",
    ]


def _markdown(result: Result) -> str:
    parts = [
        "Share of a question's evidence turns among the first k hits, averaged over questions. "
        "The only input of a search is the question's text. Baselines get the same turns and "
        "captions. Intervals resample questions.",
        f"![Recall by k]({_PLOT})",
    ]
    for title, headers, rows in _tables(result):
        parts.append(f"## {title}\n\n{report.table(headers, rows)}")
    parts.append("## Cost and data\n\n" + "\n".join(f"- {line}" for line in _facts(result)))
    return "\n\n".join(parts)


def _plot(result: Result, path: Path) -> None:
    """Recall@10 by category for every system, with intervals, and recall by k."""
    figure = report.figure(11, 4.5)
    bars, curves = figure.subplots(1, 2, width_ratios=[3, 2])
    groups = [group for group in GROUPS if result.systems[OURS][group]["n"]]
    width = 0.8 / len(result.systems)
    for number, (name, found) in enumerate(result.systems.items()):
        places = [
            place + (number - (len(result.systems) - 1) / 2) * width for place in range(len(groups))
        ]
        values = [found[group]["recall@10"] for group in groups]
        bars.bar(places, values, width, label=name, yerr=_errors(found, groups), capsize=1.5)
        cuts = (1, 5, 10, 20, 50)
        curves.plot(cuts, [found["1-4"][f"recall@{k}"] for k in cuts], marker="o", label=name)
    bars.set_xticks(range(len(groups)), [group_title(group).replace(" ", "\n") for group in groups])
    bars.set(ylabel="Recall@10, percent", ylim=(0, 100), title="By category, 95 % intervals")
    curves.set_xscale("log")
    curves.set_xticks((1, 5, 10, 20, 50), ["1", "5", "10", "20", "50"])
    curves.set(xlabel="k", ylabel="Recall@k, percent", ylim=(0, 100), title="Categories 1-4")
    curves.minorticks_off()
    curves.legend(fontsize="small")
    figure.savefig(path, dpi=150)


def _errors(found: dict[str, dict[str, Any]], groups: Sequence[str]) -> list[list[float]]:
    """Distances of the intervals' ends from the means; matplotlib refuses ones below zero."""
    pairs = [(found[group]["recall@10"], found[group]["recall@10_ci95"]) for group in groups]
    return [
        [max(0.0, value - low) for value, (low, _) in pairs],
        [max(0.0, high - value) for value, (_, high) in pairs],
    ]
