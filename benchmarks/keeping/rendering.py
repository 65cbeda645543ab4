"""The report of the benchmark of consolidation: targets, tables, plots."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memos.benchmarks import report

NAME = "consolidation"


def targets(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was wanted, what was measured, and whether that is enough; only of parts that ran."""
    rows: list[tuple[str, float, float, bool]] = []

    def most(name: str, limit: float, found: float) -> None:
        rows.append((name, limit, found, found <= limit))

    def least(name: str, limit: float, found: float) -> None:
        rows.append((name, limit, found, found >= limit))

    if "year" in data:
        year = data["year"]
        most("duplicates in the live set, share", 0.01, year["after"]["duplicate_share"])
        most("stale facts as current, by search", 0.01, year["stale"]["search_stale_share"])
        most("stale facts as current, by facts", 0.01, year["stale"]["facts_stale_share"])
        least("fewer live bytes, share", 0.60, year["saved_bytes_share"])
    if "locomo" in data:
        most("Recall@10 lost by consolidation", 1.0, data["locomo"]["lost_by_consolidation"])
        most("Recall@10 lost at half the bytes", 3.0, data["locomo"]["lost_by_forgetting"])
    if "growth" in data:
        rates = [row["memories_per_second"] for row in data["growth"]]
        least("memories per second, slowest size", 2000, min(rates))
        if len(data["growth"]) > 1:
            most("growth, as a power of n log n", 1.05, exponent(data["growth"]))
    if "latency" in data:
        most("search p95 during, times idle", 1.5, data["latency"]["p95_ratio"])
    if "erase" in data:
        most("erase p95 in ms", 200, data["erase"]["erase_ms"]["p95"])
    return [
        {"target": name, "wanted": limit, "measured": round(found, 5), "met": met}
        for name, limit, found, met in rows
    ]


def markdown(data: Mapping[str, Any]) -> str:
    """The tables of all parts that ran."""
    found = [
        report.table(
            ("target", "wanted", "measured", "met"),
            [
                (row["target"], row["wanted"], row["measured"], "yes" if row["met"] else "no")
                for row in data["targets"]
            ],
        )
    ]
    if "year" in data:
        found.append(_year(data["year"]))
    if "locomo" in data:
        locomo = data["locomo"]
        rows = [
            (stage, score, locomo["size"][stage]["memories"], locomo["size"][stage]["bytes"])
            for stage, score in locomo["recall@10"].items()
        ]
        found.append(report.table(("LoCoMo", "Recall@10", "live memories", "live bytes"), rows))
        found.append(report.table(("events", "number"), list(locomo["actions"].items())))
    if "growth" in data:
        grown = [
            (r["memories"], r["seconds"], r["cpu_seconds"], r["memories_per_second"], r["actions"])
            for r in data["growth"]
        ]
        headers = ("memories", "seconds", "seconds of CPU", "per second", "actions")
        found.append(report.table(headers, grown))
        found.append(_growth_text(data["growth"]))
    for part, keys in (("latency", ("idle_ms", "during_ms")), ("erase", ("erase_ms",))):
        if part in data:
            rows = [
                (key, data[part][key]["p50"], data[part][key]["p95"], data[part][key]["max"])
                for key in keys
            ]
            found.append(report.table((part, "p50", "p95", "max"), rows))
    return "\n\n".join(found)


def exponent(rows: Sequence[Mapping[str, Any]]) -> float:
    """b of the least squares fit seconds of CPU = a · (n log n)^b, on logarithms; 1 is n log n. Of
    CPU: what else the machine does is not the consolidation's."""
    x = [math.log(row["memories"] * math.log(row["memories"])) for row in rows]
    y = [math.log(row["cpu_seconds"]) for row in rows]
    return statistics.linear_regression(x, y).slope


def _growth_text(rows: Sequence[Mapping[str, Any]]) -> str:
    if len(rows) < 2:
        return ""
    return f"Fitted: seconds of CPU grow as (n log n)^{exponent(rows):.3f}."


def _year(year: Mapping[str, Any]) -> str:
    rows = []
    for stage in ("before", "night_1", "night_2"):
        one = year[stage]
        rows.append(
            (
                stage,
                one["memories"],
                one["bytes"],
                one["duplicates"],
                one["duplicate_share"],
                one.get("seconds"),
                one.get("memories_per_second"),
            )
        )
    headers = ("year", "live", "bytes", "duplicates", "share", "seconds", "memories/s")
    table = report.table(headers, rows)
    if "stale" not in year:
        return table
    return f"{table}\n\n{_asked(year)}"


def _asked(year: Mapping[str, Any]) -> str:
    stale = year["stale"]
    rows = [
        ("search", stale["questions"], stale["search_stale"], stale["search_unanswered"]),
        ("facts", stale["facts_known"], stale["facts_stale"], 0),
    ]
    text = report.table(("asked of", "questions", "a former value", "no value"), rows)
    if "reading_per_second" in year:
        text += f"\n\nFacts read out of {year['reading_per_second']:,} turns a second."
    return text


def write(out: Path, data: Mapping[str, Any], environment: Mapping[str, Any]) -> Path:
    """report.json, report.md and the plots."""
    out.mkdir(parents=True, exist_ok=True)
    shown = "\n".join(f"![{path.stem}]({path.name})" for path in _plots(out, data))
    text = f"{markdown(data)}\n\n{shown}"
    return report.write_report(out, NAME, data, text, environment=environment)


def _plots(out: Path, data: Mapping[str, Any]) -> list[Path]:
    drawn = {"growth": _draw_growth, "locomo": _draw_locomo, "year": _draw_year}
    made = []
    for name, draw in drawn.items():
        if name in data:
            figure = report.figure(6.0, 4.0)
            draw(figure.subplots(), data[name])
            path = out / f"{name}.png"
            figure.savefig(path, dpi=150)
            made.append(path)
    return made


def _draw_growth(axes: Any, rows: Any) -> None:
    sizes = [row["memories"] for row in rows]
    seconds = [row["cpu_seconds"] for row in rows]
    axes.loglog(sizes, [row["seconds"] for row in rows], ":", label="by the clock")
    axes.loglog(sizes, seconds, "o-", label="of CPU")
    scale = seconds[-1] / (sizes[-1] * math.log(sizes[-1]))
    axes.loglog(sizes, [scale * n * math.log(n) for n in sizes], "--", label="n log n")
    axes.set(xlabel="memories", ylabel="seconds")
    axes.legend()


def _draw_locomo(axes: Any, data: Any) -> None:
    scores = data["recall@10"]
    axes.bar(list(scores), list(scores.values()))
    axes.set(ylabel="Recall@10, percent", ylim=(0, 100))


def _draw_year(axes: Any, data: Any) -> None:
    stages = ["before", "night_1", "night_2"]
    axes.bar(stages, [data[stage]["bytes"] / 1e6 for stage in stages])
    axes.set(ylabel="live megabytes")
