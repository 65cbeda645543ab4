"""With the cost model on, calibrated on the device: each length beside no cache at all."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from typing import Any

from memos.benchmarks.activation.cuda_ttft import BUDGET, cost_of, first
from memos.benchmarks.activation.models import random_tokens
from memos.benchmarks.activation.timing import Timings
from memos.benchmarks.kv_cuda import folder_of
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.store.store import BlockStore
from memos.kvcache.tiers.device import DeviceTier
from memos.kvcache.tiers.ram import RamTier
from memos.kvcache.tiers.tiers import Tiers

_LENGTH_S = 20.0
"""After so many seconds of one length no further pairs are measured, beyond the least number."""


def run(
    model: LocalModel, options: argparse.Namespace
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Medians by length, with blocks on disk and in (pinned) RAM; and one row per measurement."""
    lines, rows = [], []
    cuda = model.device.type == "cuda"
    with folder_of(options) as folder:
        cost = cost_of(model, folder, options)
        with BlockStore(folder / "kv", budget_bytes=BUDGET) as store:
            nothing = DeviceTier(model.device, budget_bytes=0) if cuda else None
            disk = Tiers(store, device=nothing)
            ram = Tiers(store, device=nothing, ram=RamTier(budget_bytes=BUDGET, pinned=cuda))
            ways = {
                "none": PrefixReuse(model),
                "disk": PrefixReuse(model, disk, cost=cost),
                "ram": PrefixReuse(model, ram, cost=cost),
            }
            for stored in options.cost_lengths:
                tokens = random_tokens(model, stored + options.new, seed=options.seed + stored)
                ways["disk"].compile(tokens[:stored])
                hit = disk.find(ways["disk"].root, tokens)
                for tiers in (ram, disk):
                    tiers.prefetch([hit] if hit else []).result()
                line, values = _line(model, ways, tokens, stored, options)
                lines.append(line)
                rows += values
                store.gc()
                ram.ram.shelf.clear() if ram.ram else None
            disk.close()
            ram.close()
    worst = max(line[f"{name}_ratio"] for line in lines for name in ("disk", "ram"))
    return {"calibration": cost.describe(), "lengths": lines, "worst": worst}, rows


def _turns(options: argparse.Namespace) -> Iterator[int]:
    """An even number of them: short passes differ by a third from one to the next, and need more
    pairs than there is time for of long ones."""
    least, most = 2 * options.repeats, 16 * options.repeats
    began = time.perf_counter()
    for turn in range(most):
        if turn >= least and not turn % 2 and time.perf_counter() - began > _LENGTH_S:
            return
        yield turn


def _line(
    model: LocalModel,
    ways: dict[str, PrefixReuse],
    tokens: list[int],
    stored: int,
    options: argparse.Namespace,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    timings = Timings(model)
    before = {name: (way.counters.hits, way.counters.met) for name, way in ways.items()}
    for reuse in ways.values():
        first(reuse, tokens)
    # There and back, so that what else the machine does falls on all alike, and so does the heat of
    # the run before.
    names = list(ways)
    for turn in _turns(options):
        for name in names if turn % 2 else names[::-1]:
            reuse = ways[name]
            timings.time(name, lambda: first(reuse, tokens))  # noqa: B023
    ms = timings.medians()
    line: dict[str, Any] = {"stored": stored, "pairs": len(timings.values["none"])}
    line["none_ms"] = ms["none"]
    for name in ("disk", "ram"):
        counters = ways[name].counters
        hits = counters.hits > before[name][0]
        met = counters.met > before[name][1]
        line[f"{name}_ms"] = ms[name]
        pairs = zip(timings.values[name], timings.values["none"], strict=True)
        line[f"{name}_ratio"] = round(statistics.median(a / b for a, b in pairs), 3)
        line[f"{name}_decision"] = "both" if met else "load" if hits else "recompute"
    rows = [
        {"stored": stored, "name": f"cost model, {name}", "ms": round(value, 3)}
        for name, values in timings.values.items()
        for value in values
    ]
    return line, rows
