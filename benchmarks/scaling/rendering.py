"""The scale benchmark's figures beside what is asked of them, as Markdown and as a plot.

Knows the shape of the data that `scale` gathers; measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from memos.benchmarks import report

NAME = "Scale: latency, memory and disk against size"
PLOT = "growth.png"

# Milliseconds beyond embedding the query, by memories in the cube: (p50, p95).
SEARCH_LIMITS_MS = {10_000: (5.0, 10.0), 100_000: (12.0, 25.0)}
ALL_CHANNELS_SIZE = 10_000
ALL_CHANNELS_P95_MS = 40.0
QUERY_EMBEDDING_MS = 4.0
INGEST_SHARE = 0.75
FILTER_RATIO = 2.0
FILTER_SIZE = 100_000
COLD_START_S = 5.0
CLIENT_IMPORT_MS = 200.0


def targets(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is asked, the limit, what was measured (None: not in this run) and whether it is met."""
    points = {point["memories"]: point for point in data["growth"]}
    found: list[dict[str, Any]] = []

    def ask(what: str, limit: float, measured: float | None, *, at_least: bool = False) -> None:
        met = None
        if measured is not None:
            met = measured >= limit if at_least else measured <= limit
        found.append(
            {
                "target": what,
                "limit": limit,
                "at_least": at_least,
                "measured": measured,
                "met": met,
            }
        )

    for size, limits in SEARCH_LIMITS_MS.items():
        of = points.get(size, {}).get("search_ms", {})
        for name, limit in zip(("p50", "p95"), limits, strict=True):
            ask(f"search beyond embedding at {size:,}, {name}, ms", limit, of.get(name))
    walked = points.get(ALL_CHANNELS_SIZE, {}).get("all_channels_ms", {})
    what = f"the same with all channels on at {ALL_CHANNELS_SIZE:,}, p95, ms"
    ask(what, ALL_CHANNELS_P95_MS, walked.get("p95"))
    embedding = data["query_embedding_ms"]
    ask("query embedding, p50, ms", QUERY_EMBEDDING_MS, embedding and embedding["p50"])
    for name, of in data["filter"].items():
        if name not in ("memories", "unfiltered"):
            ratio = of["p50_ratio"] if data["filter"]["memories"] == FILTER_SIZE else None
            ask(f"{name} that keeps 10 % of {FILTER_SIZE:,}, ratio", FILTER_RATIO, ratio)
    share = data["ingest"]["share_of_embedder"] if data["vectors"] == "real" else None
    ask("ingest, share of the embedder's rate", INGEST_SHARE, share, at_least=True)
    start = data["cold_start"][0]
    ask("cold start to the first search, s", COLD_START_S, start["first_search_s"])
    ask("import of memos.client, ms", CLIENT_IMPORT_MS, data["client_import_ms"]["median"])
    return found


def markdown(data: Mapping[str, Any]) -> str:
    """All figures as tables."""
    return "\n\n".join(
        [
            "Search times are those beyond embedding the query, in ms, in process, one caller."
            f" Vectors are {data['vectors']}. Memory is that of a fresh process after the"
            " searches, less what it had with only the model loaded.",
            "## Asked and measured",
            _targets(data["targets"]),
            "## One cube, growing",
            _growth(data["growth"]),
            f"![growth]({PLOT})",
            f"## Filters that keep a tenth of {data['filter']['memories']:,}",
            _filters(data["filter"]),
            "## Ingest",
            report.table(
                ("texts", "embedder, texts/s", "add_batch, texts/s", "share", "by CPU time"),
                [_ingest(data["ingest"])],
            ),
            "## Start",
            report.table(
                ("memories", "ready, s", "first search answered, s"),
                [(s["memories"], s["ready_s"], s["first_search_s"]) for s in data["cold_start"]],
            ),
            f"`import memos.client`: {data['client_import_ms']['median']} ms (median of fresh"
            " interpreters).",
            *_embedding(data["query_embedding_ms"]),
        ]
    )


def write(
    out: Path,
    data: Mapping[str, Any],
    rows: Iterable[Mapping[str, Any]],
    environment: Mapping[str, Any],
) -> Path:
    """report.json, report.md, growth.png and searches.jsonl; the path of report.json."""
    out.mkdir(parents=True, exist_ok=True)
    _plot(data["growth"], out / PLOT)
    return report.write_report(
        out, NAME, data, markdown(data), environment=environment, rows={"searches": rows}
    )


def _targets(found: Iterable[Mapping[str, Any]]) -> str:
    words = {True: "yes", False: "**no**", None: "not in this run"}
    return report.table(
        ("target", "limit", "measured", "met"),
        [
            (
                target["target"],
                f"{'≥' if target['at_least'] else '≤'} {target['limit']:g}",
                target["measured"],
                words[target["met"]],
            )
            for target in found
        ],
    )


def _growth(points: Iterable[Mapping[str, Any]]) -> str:
    headers = (
        "memories",
        "p50",
        "p95",
        "p99",
        "all channels p50",
        "p95",
        "first search",
        "RAM, MiB",
        "RAM/memory, B",
        "disk/memory, B",
        "of it vector index",
        "added/s",
        "index wait, s",
    )
    return report.table(
        headers,
        [
            (
                point["memories"],
                *(point["search_ms"][name] for name in ("p50", "p95", "p99")),
                *(point["all_channels_ms"][name] for name in ("p50", "p95")),
                point["first_search_ms"],
                round(point["rss_bytes"]["after"] / 2**20),
                point["rss_bytes_per_memory"],
                point["disk_bytes_per_memory"],
                round(point["disk_bytes"].get("vector index", 0) / point["memories"]),
                point["add_per_s"],
                point["index_wait_s"],
            )
            for point in points
        ],
    )


def _filters(found: Mapping[str, Any]) -> str:
    return report.table(
        ("scope", "kept", "p50", "p95", "p50 against unfiltered"),
        [
            (name, f"{of['kept']:.1%}", of["search_ms"]["p50"], of["search_ms"]["p95"], ratio)
            for name, of in found.items()
            if name != "memories"
            for ratio in [of["p50_ratio"]]
        ],
    )


def _ingest(found: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        found["texts"],
        found["embed_per_s"],
        found["add_per_s"],
        f"{found['share_of_embedder']:.0%}",
        f"{found['share_by_cpu_time']:.0%}",
    )


def _embedding(found: Mapping[str, float] | None) -> list[str]:
    if found is None:
        return ["Query embedding: not measured, the vectors are synthetic."]
    values = ", ".join(f"{name} {found[name]:.2f}" for name in ("p50", "p95", "p99"))
    return [f"Query embedding: {values} ms."]


def _plot(points: list[Mapping[str, Any]], path: Path) -> None:
    figure = report.figure(10, 4)
    latency, space = figure.subplots(1, 2)
    sizes = [point["memories"] for point in points]
    for name, colour in (("p50", "tab:blue"), ("p95", "tab:orange"), ("p99", "tab:red")):
        values = [point["search_ms"][name] for point in points]
        latency.plot(sizes, values, marker="o", label=name, color=colour)
    for size, limits in SEARCH_LIMITS_MS.items():
        for limit, colour in zip(limits, ("tab:blue", "tab:orange"), strict=True):
            latency.plot([size], [limit], marker="_", markersize=14, color=colour)
    latency.set(xscale="log", ylabel="search beyond embedding, ms", ylim=(0, None))
    latency.set_title("latency (dashes: limits of p50 and p95)")
    ram = [point["rss_bytes_per_memory"] / 1024 for point in points]
    disk = [point["disk_bytes_per_memory"] / 1024 for point in points]
    space.plot(sizes, ram, marker="o", label="RAM", color="tab:green")
    space.plot(sizes, disk, marker="s", label="disk", color="tab:purple")
    space.set(xscale="log", ylabel="KiB per memory", ylim=(0, None))
    space.set_title("space per memory")
    for axes in (latency, space):
        axes.set_xlabel("memories in the cube")
        axes.legend()
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)
