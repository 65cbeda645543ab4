"""The report of `memos bench lora`: tables by part, and what was reached of what is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memos.benchmarks.report import table


def markdown(data: Mapping[str, Any]) -> str:
    """All parts that there are."""
    parts = data["parts"]
    found = [f"Model {data.get('model')}, {data['facts']} facts about invented people.\n"]
    if data.get("targets"):
        rows = [
            (t["what"], t["wanted"], t["found"], "yes" if t["met"] else "no")
            for t in data["targets"]
        ]
        found.append(table(("what", "wanted", "found", "reached"), rows))
    for name, part in parts.items():
        found.append(f"\n## {name}\n")
        found.append(_part(part))
    found += [f"\n![{name}]({name})" for name in data.get("plots", ())]
    if data["not_run"]:
        found.append("\n## Not run\n")
        found += [f"- {one['what']}: {one['why']}" for one in data["not_run"]]
    return "\n".join(found) + "\n"


def targets(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the issue of parametric memory is measured by, as far as it was run."""
    parts = data["parts"]
    found: list[dict[str, Any]] = []

    def want(part: str, what: str, wanted: str, value: Any, met: Any) -> None:
        if part in parts:
            shown = value(parts[part])
            found.append(
                {"what": what, "wanted": wanted, "found": shown, "met": bool(met(parts[part]))}
            )

    def pc(value: float) -> str:
        return f"{value:.1%}"

    want(
        "learn",
        "recall in other words",
        "≥ 85 %",
        lambda p: pc(p["recall"]),
        lambda p: p["recall"] >= 0.85,
    )
    want(
        "learn",
        "recall without it",
        "≈ 0",
        lambda p: pc(p["base_recall"]),
        lambda p: p["base_recall"] <= 0.05,
    )
    want(
        "learn",
        "perplexity of neutral text, at work everywhere",
        "≤ +5 %",
        lambda p: pc(p["perplexity"]),
        lambda p: p["perplexity"] <= 0.05,
    )
    want(
        "learn",
        "other answers unchanged, at work everywhere",
        "≥ 95 %",
        lambda p: pc(p["unchanged"]),
        lambda p: p["unchanged"] >= 0.95,
    )
    want(
        "learn",
        "perplexity of neutral text, at work where named",
        "≤ +5 %",
        lambda p: pc(p["in_use_perplexity"]),
        lambda p: p["in_use_perplexity"] <= 0.05,
    )
    want(
        "learn",
        "other answers unchanged, at work where named",
        "≥ 95 %",
        lambda p: pc(p["in_use_unchanged"]),
        lambda p: p["in_use_unchanged"] >= 0.95,
    )
    want(
        "learn",
        "seconds of training",
        "≤ 600",
        lambda p: p["seconds"],
        lambda p: p["seconds"] <= 600,
    )
    want(
        "learn",
        "bytes of the adapter",
        "≤ 10 MB",
        lambda p: p["bytes"],
        lambda p: p["bytes"] <= 10e6,
    )
    want(
        "second",
        "kept after a second round",
        "≥ 80 %",
        lambda p: pc(p["kept"]),
        lambda p: p["kept"] >= 0.8,
    )
    want(
        "erase",
        "recall of what was erased",
        "that of the model",
        lambda p: f"{pc(p['after'])} ({pc(p['base'])})",
        lambda p: p["after"] <= p["base"],
    )
    want(
        "erase",
        "the same under samples",
        "that of the model",
        lambda p: (
            f"{pc(p['sampled_after'])} ({pc(p['sampled_base'])}; by guessing "
            f"{pc(p['sampled_after_other'])})"
        ),
        lambda p: p["sampled_after"] <= p["sampled_base"] + 0.05,
    )
    want(
        "erase",
        "recall of the others",
        "± 5 points",
        lambda p: f"{pc(p['others_before'])} → {pc(p['others_after'])}",
        lambda p: abs(p["others_after"] - p["others_before"]) <= 0.05,
    )
    want(
        "serve",
        "attach from RAM, p50 ms",
        "≤ 50",
        lambda p: round(p["attach_ram_ms"]["p50"], 2),
        lambda p: p["attach_ram_ms"]["p50"] <= 50,
    )
    want(
        "serve",
        "rows of 8 adapters as alone",
        "8 of 8",
        lambda p: p["batch_equal"],
        lambda p: p["batch_equal"] == 8,
    )
    want(
        "serve",
        "registered adapters",
        "≥ 1,000",
        lambda p: p["registered"]["adapters"],
        lambda p: p["registered"]["adapters"] >= 1000,
    )
    return found


def _part(part: Mapping[str, Any]) -> str:
    found = []
    plain = [(name, _shown(value)) for name, value in part.items() if not _nested(value)]
    if plain:
        found.append(table(("figure", "value"), plain))
    for name, value in part.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            heads = list(dict.fromkeys(key for line in value for key in line))
            found.append(f"\n{name}:\n")
            found.append(table(heads, [[_shown(line.get(h)) for h in heads] for line in value]))
        elif isinstance(value, Mapping):
            found.append(f"\n{name}:\n")
            found.append(_part(value))
    return "\n".join(found)


def _nested(value: Any) -> bool:
    return isinstance(value, (Mapping, list))


def _shown(value: Any) -> Any:
    return value if not isinstance(value, float) else float(f"{value:.4g}")
