"""The graph benchmark's figures beside what is asked of them, as Markdown.

Knows the shape of the data that `graph` gathers; measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memos.benchmarks import report

NAME = "Graph: a view of facts at a time, against their number"
SIZE = 1_000_000
HOP2_P95_MS = 50.0
LOAD_PER_S = 5_000.0
ASKED = {
    "hop1": "1 hop, as of a time",
    "hop2": "2 hops, as of a time",
    "hop2_known": "2 hops, as of a time, as known at another",
    "triple": "(subject, predicate, ?), as of a time",
}


def targets(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is asked, the limit, what was measured (None: not in this run) and whether it is met."""
    whole = data["facts"] >= SIZE and data["database"] == "postgresql"
    hop2 = data["ms"]["hop2"]["p95"] if whole else None
    load = data["load"]["record_per_s"]
    return [
        {
            "target": f"2 hops as of a time, {SIZE:,} facts on PostgreSQL, p95, ms",
            "limit": HOP2_P95_MS,
            "at_least": False,
            "measured": hop2,
            "met": None if hop2 is None else hop2 <= HOP2_P95_MS,
        },
        {
            "target": "facts recorded per second",
            "limit": LOAD_PER_S,
            "at_least": True,
            "measured": load,
            "met": load >= LOAD_PER_S,
        },
    ]


def markdown(data: Mapping[str, Any]) -> str:
    parts = [
        f"{data['facts']:,} facts about {data['entities']:,} entities on {data['database']}; the"
        f" greatest hub has {data['hub_facts']:,}. {data['queries']:,} questions of each kind, half"
        " about any entity, half about entities as often as facts name them.",
        "## What is asked\n\n" + _targets(data),
        "## Answers, ms\n\n" + _answers(data),
        "## Loading\n\n" + _load(data),
    ]
    of = data["projection"]
    if of is None:
        return "\n\n".join(parts)
    parts.append(
        "## Projection in RAM\n\n"
        f"{of['bytes_per_edge']:,} bytes per edge ({of['facts']:,} facts that join entities and"
        f" {of['edges'] - of['facts']:,} mentions of entities by memories),"
        f" {of['bytes_per_fact']:,} per fact; loaded in {of['load_s']:,} s."
    )
    return "\n\n".join(parts)


def _targets(data: Mapping[str, Any]) -> str:
    rows = [
        (
            item["target"],
            f"{'≥' if item['at_least'] else '≤'} {item['limit']:,g}",
            item["measured"],
            {True: "yes", False: "no", None: "not measured"}[item["met"]],
        )
        for item in data["targets"]
    ]
    return report.table(("target", "limit", "measured", "met"), rows)


def _answers(data: Mapping[str, Any]) -> str:
    rows = []
    for name, text in ASKED.items():
        of, plain = data["ms"][name], (data["networkx"] or {"ms": {}})["ms"].get(name)
        rows.append(
            (
                text,
                of["p50"],
                of["p95"],
                of["max"],
                plain and plain["p50"],
                plain and plain["p95"],
                plain and plain["max"],
            )
        )
    head = ("question", "p50", "p95", "max", "networkx p50", "networkx p95", "networkx max")
    return report.table(head, rows)


def _load(data: Mapping[str, Any]) -> str:
    load, plain = data["load"], data["networkx"] or {}
    rows = [
        ("facts recorded per second", load["record_per_s"], plain.get("facts_per_s")),
        ("with their memories, per second", load["all_per_s"], None),
        (
            "bytes per fact (on disk; in RAM)",
            load["disk_bytes_per_fact"],
            plain.get("bytes_per_fact"),
        ),
        ("slowest batch, facts per second", load["slowest_per_s"], None),
    ]
    return report.table(("", "store", "networkx, all in RAM"), rows)


def write(
    out: Path, data: Mapping[str, Any], rows: list[dict[str, Any]], environment: Mapping[str, Any]
) -> Path:
    return report.write_report(
        out, NAME, data, markdown(data), environment=environment, rows={"questions": rows}
    )
