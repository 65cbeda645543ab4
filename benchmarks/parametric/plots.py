"""Plots of `memos bench lora`: adapters on disk under a budget of RAM, and recall by facts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memos.benchmarks.report import figure


def plots(data: Mapping[str, Any], out: Path) -> list[str]:
    """Names of the files that were written, for the parts that there are."""
    parts, found = data["parts"], []
    if "serve" in parts:
        found.append(_registered(parts["serve"]["registered"], out))
    if parts.get("curve", {}).get("lines"):
        found.append(_curve(parts["curve"]["lines"], out))
    return found


def _registered(part: Mapping[str, Any], out: Path) -> str:
    lines = part["lines"]
    shares = [100 * line["ram_share"] for line in lines]
    plot = figure()
    rates, times = plot.subplots(1, 2)
    for name, label in (("hit_rate", "in RAM"), ("device_rate", "on the device")):
        rates.plot(shares, [100 * line[name] for line in lines], marker="o", label=label)
    rates.set(
        xlabel="RAM for this share of the adapters, %", ylabel="found there, %", ylim=(0, 101)
    )
    rates.legend()
    tiers = (("device_ms", "on the device"), ("ram_ms", "from RAM"), ("disk_ms", "from disk"))
    for name, label in tiers:
        known = [
            (share, line[name]) for share, line in zip(shares, lines, strict=True) if line[name]
        ]
        times.plot(*zip(*known, strict=True), marker="o", label=label)
    times.set(
        xlabel="RAM for this share of the adapters, %", ylabel="ms to be at work, half are faster"
    )
    times.set_yscale("log")
    times.legend()
    plot.suptitle(f"{part['adapters']:,} adapters, {part['lookups']:,} lookups by Zipf's law")
    plot.savefig(out / "adapters.png", dpi=150)
    return "adapters.png"


def _curve(lines: list[Mapping[str, Any]], out: Path) -> str:
    plot = figure(6.0, 4.0)
    axes = plot.subplots()
    for rank in sorted({line["rank"] for line in lines}):
        mine = [line for line in lines if line["rank"] == rank]
        counts = [line["facts"] for line in mine]
        axes.plot(counts, [100 * line["recall"] for line in mine], marker="o", label=f"rank {rank}")
    axes.set(xlabel="facts", ylabel="recall in other words, %", ylim=(0, 101))
    axes.set_xscale("log")
    axes.legend()
    plot.savefig(out / "curve.png", dpi=150)
    return "curve.png"
