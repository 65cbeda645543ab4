"""With the cost model on: each length with stored states, beside no cache at all."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from memos.benchmarks import report
from memos.benchmarks.activation.models import model_of, random_tokens
from memos.benchmarks.activation.timing import Timings
from memos.kvcache.cost import calibrate
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.store.store import BlockStore

SLOWER = 1.05
"""Most that a request may take of its time without a cache."""


def run(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The part's data, and one raw row per measurement."""
    model = model_of(options, dtype=options.dtype)
    lines, rows = [], []
    with tempfile.TemporaryDirectory(prefix="memos-kv-", dir=options.store_dir) as folder:
        cost = calibrate(model, Path(folder))
        with BlockStore(Path(folder) / "kv", budget_bytes=1 << 40) as store:
            reuse = PrefixReuse(model, store, cost=cost)
            plain = PrefixReuse(model)
            for stored in options.cost_lengths:
                print(f"… {stored} stored tokens", file=sys.stderr, flush=True)
                tokens = random_tokens(model, stored + options.new, seed=options.seed + stored)
                reuse.compile(tokens[:stored])
                timings = Timings(model)
                declined = reuse.counters.declined
                # In turn, so that what else the machine does falls on both alike.
                few = stored < 256
                for _ in range(options.repeats if few else options.cold_repeats):
                    timings.time("none", lambda: plain.begin([tokens]))  # noqa: B023
                    timings.time("with", lambda: reuse.begin([tokens]))  # noqa: B023
                ms = timings.medians()
                lines.append(
                    {
                        "stored": stored,
                        "no_cache_ms": ms["none"],
                        "with_cache_ms": ms["with"],
                        "ratio": round(ms["with"] / ms["none"], 3),
                        "decision": "recompute" if reuse.counters.declined > declined else "load",
                    }
                )
                rows += [
                    {"stored": stored, "name": name, "ms": value}
                    for name, values in timings.values.items()
                    for value in values
                ]
    worst = max(line["ratio"] for line in lines)
    target = {
        "target": f"time with the cost model ÷ without a cache, any length ≤ {SLOWER}",
        "got": worst,
        "met": worst <= SLOWER,
    }
    data = {"model": model.id, "dtype": options.dtype, "calibration": cost.describe()}
    return {**data, "lengths": lines, "targets": [target]}, rows


def markdown(data: dict[str, Any]) -> str:
    """The part as Markdown."""
    head = ["stored tokens", "no cache, ms", "with, ms", "ratio", "decision"]
    body = [list(line.values()) for line in data["lengths"]]
    target = data["targets"][0]
    return (
        f"## Load or recompute\n\n{data['model']}, {data['dtype']}; calibrated: "
        f"{data['calibration']}.\n\n{report.table(head, body)}\n\n{target['target']}: "
        f"{target['got']}, {'met' if target['met'] else 'not met'}"
    )
