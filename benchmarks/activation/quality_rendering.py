"""The rows of `kv_quality` as Markdown and curves. Knows their shape; measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memos.benchmarks import report

NAME = "KV caches: quality against bytes, and reuse out of place"
REFERENCES = ("random", "recent")
TOP1 = 0.95

Rows = Sequence[Mapping[str, Any]]


def of_kind(rows: Rows, kind: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["kind"] == kind]


def markdown(data: Mapping[str, Any], rows: Mapping[str, Rows]) -> str:
    """One section for each model: policies by the share of bytes left, codecs, reuse."""
    parts = [
        f"{data['cases']} texts of about {data['tokens']} tokens of prose with {data['facts']}"
        f" facts each, {data['continuation']} tokens that follow, a question about each fact."
        " KL(full ‖ this) in nats and agreement of the likeliest token over the tokens that"
        " follow; accuracy over the questions. A guided policy sees each question before it is"
        " asked."
    ]
    for model, found in rows.items():
        accuracy = next((row["full_accuracy"] for row in found if "full_accuracy" in row), None)
        parts.append(f"## {model}\n\nAccuracy with the full cache: {_number(accuracy)}.")
        parts += [
            f"### {title}\n\n{make(of_kind(found, kind))}"
            for title, kind, make in (
                ("Policies", "policy", _policies),
                ("Codecs", "codec", _codecs),
                ("Reuse out of place", "reuse", _reuse),
                ("Chunks found by attention", "retrieval", _retrieval),
            )
            if of_kind(found, kind)
        ]
    return "\n\n".join(parts)


def _policies(rows: Rows) -> str:
    return report.table(
        ("policy", "guided", "removed", "bytes left", "KL", "top-1", "accuracy", "s"),
        [
            (
                row["name"],
                "yes" if row["guided"] else "",
                row["ratio"],
                row["share"],
                row["kl"],
                row["top1"],
                row["accuracy"],
                row["seconds"],
            )
            for row in sorted(rows, key=lambda row: (row["ratio"], row["kl"]))
        ],
    )


def _codecs(rows: Rows) -> str:
    return report.table(
        ("codec", "bytes left", "KL", "top-1", "accuracy"),
        [(row["name"], row["share"], row["kl"], row["top1"], row["accuracy"]) for row in rows],
    )


def _reuse(rows: Rows) -> str:
    table = report.table(
        ("tokens read again", "share", "KL", "top-1", "accuracy", "gate"),
        [
            (
                row["name"],
                row["ratio"],
                row["kl"],
                row["top1"],
                row["accuracy"],
                "open" if row["top1"] >= TOP1 else "shut",
            )
            for row in rows
        ],
    )
    return f"{table}\n\nThe gate opens at a top-1 of {TOP1}; below it all is read in full."


def _retrieval(rows: Rows) -> str:
    return report.table(
        ("questions", "chunk first", "among two", "answered from these two"),
        [(row["questions"], row["hits_1"], row["hits_2"], row["accuracy"]) for row in rows],
    )


def plots(out: Path, rows: Mapping[str, Rows]) -> list[str]:
    """Draws policies and reuse for each model into `out`; the names of the files."""
    files = []
    for number, (model, found) in enumerate(rows.items(), start=1):
        for kind, draw in (("policy", _draw_policies), ("reuse", _draw_reuse)):
            chosen = of_kind(found, kind)
            if chosen:
                figure = report.figure(11, 4.5)
                draw(figure, chosen)
                figure.suptitle(model)
                files.append(f"{kind}-{number}.png")
                figure.savefig(out / files[-1], dpi=150)
    return files


def _draw_policies(figure: Any, rows: Rows) -> None:
    from matplotlib import colormaps

    left, right = figure.subplots(1, 2)
    colours = colormaps["tab20"]  # 20, more than there are policies
    for number, name in enumerate(dict.fromkeys(row["name"] for row in rows)):
        line = sorted((row for row in rows if row["name"] == name), key=lambda row: row["share"])
        shares = [row["share"] for row in line]
        style = {
            "marker": "osv^D<>"[number % 7],
            "markersize": 4,
            "label": name,
            "color": colours(number % 20),
        }
        if name in REFERENCES:
            style |= {"color": "black", "linewidth": 2.5, "linestyle": ("--", "-")[number % 2]}
        left.plot(shares, [max(row["kl"], 1e-6) for row in line], **style)
        right.plot(shares, [row["accuracy"] for row in line], **style)
    left.set(xlabel="bytes left", ylabel="KL to the full cache, nats", yscale="log")
    right.set(xlabel="bytes left", ylabel="questions answered")
    right.axhline(rows[0]["full_accuracy"], color="grey", linestyle=":")
    right.legend(fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _draw_reuse(figure: Any, rows: Rows) -> None:
    naive = next(row for row in rows if row["name"] == "concatenated")
    for axes, key, label in zip(
        figure.subplots(1, 3),
        ("kl", "top1", "accuracy"),
        ("KL to full prefill, nats", "top-1 agreement", "questions answered"),
        strict=True,
    ):
        for name in ("first", "deviation"):
            line = [row for row in rows if row["name"] == name]
            axes.plot([r["ratio"] for r in line], [r[key] for r in line], marker="o", label=name)
        axes.axhline(naive[key], color="black", linestyle="--", label="concatenated")
        whole = {"kl": 0.0, "top1": 1.0, "accuracy": naive["full_accuracy"]}[key]
        axes.axhline(whole, color="grey", linestyle=":", label="full prefill")
        axes.set(xlabel="share of tokens read again", ylabel=label)
    figure.axes[1].axhline(TOP1, color="red", linewidth=0.8, label="gate")
    figure.axes[1].legend(fontsize=7)


def write(
    out: Path,
    data: Mapping[str, Any],
    rows: Mapping[str, Rows],
    environment: Mapping[str, Any],
) -> Path:
    """report.json, report.md, rows.jsonl and the plots; the path of report.json."""
    out.mkdir(parents=True, exist_ok=True)
    pictures = "".join(f"\n\n![]({name})" for name in plots(out, rows))
    flat = [{"model": model, **row} for model, found in rows.items() for row in found]
    return report.write_report(
        out,
        NAME,
        {**data, "models": {model: list(found) for model, found in rows.items()}},
        markdown(data, rows) + pictures,
        environment=environment,
        rows={"rows": flat},
    )


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3g}"
