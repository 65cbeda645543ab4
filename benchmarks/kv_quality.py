"""What smaller caches and chunks reused out of place cost in quality, on real weights.

Curves of KL, top-1 agreement and answers against bytes for every compression policy, beside rows by
chance and the most recent rows; the same for codecs; and by the share of tokens that are read again
for chunks that were computed apart, between naive concatenation and a full prefill. It measures
quality, no speed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from memos.benchmarks import report
from memos.benchmarks.activation import quality_rendering
from memos.config import load
from memos.errors import MemosError

PARTS = ("policies", "codecs", "reuse")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, writes the report and prints it."""
    options = _options(argv)
    environment = report.environment(seed=options.seed)
    try:
        rows = _earlier(options)
        for name in options.model if options.parts else ():
            rows.setdefault(name, []).extend(measured(name, options))
    except MemosError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    data = {
        key: getattr(options, key)
        for key in ("tokens", "cases", "facts", "continuation", "chunks", "dtype")
    }
    print(report.describe(environment))
    print()
    print(quality_rendering.markdown(data, rows))
    if options.out is not None:
        path = quality_rendering.write(options.out, data, rows, environment)
        print(f"\nreport: {path}; raw rows and plots beside it")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    from memos.kvcache.compression.registry import POLICIES
    from memos.kvcache.generator.known import DEFAULT_MODEL

    parser = argparse.ArgumentParser(prog="memos bench kv_quality", description=__doc__)
    add = parser.add_argument
    add("--model", action="append", help="Hub id or folder; again for a second one")
    add("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    add("--policies", nargs="+", choices=list(POLICIES), default=list(POLICIES))
    add("--ratios", nargs="+", type=float, default=[0.25, 0.5, 0.75], help="shares removed")
    add("--recompute", nargs="+", type=float, default=[0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0])
    add("--tokens", type=int, default=512, help="of each text")
    add("--cases", type=int, default=3, help="texts")
    add("--facts", type=int, default=6, help="in each text, and questions about them")
    add("--continuation", type=int, default=128, help="tokens that follow each text")
    add("--chunks", type=int, default=4, help="that a text is cut into for reuse")
    add("--earlier", nargs="+", type=Path, default=[], help="rows.jsonl of other runs to add")
    add("--dtype", default="float32")
    add("--device", default="cpu")
    add("--seed", type=int, default=0)
    add("--out", type=Path, help="folder for report.json, report.md, plots and raw rows")
    options = parser.parse_args(argv)
    options.model = options.model or [DEFAULT_MODEL]
    return options


def _earlier(options: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Rows of earlier runs by model; the texts must have been the same."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for path in options.earlier:
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            rows.setdefault(row.pop("model"), []).append(row)
    return rows


def measured(name: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All rows of one model, as they come; what is done is told on stderr."""
    from memos.benchmarks.activation import quality_curves
    from memos.kvcache.generator.loading import load_model
    from memos.kvcache.quality.harness import Harness

    local = load_model(
        name,
        cache_dir=load().data_dir / "models",
        device=options.device,
        dtype=options.dtype,
    )

    def encode(text: str) -> list[int]:
        return list(local.tokenizer(text, add_special_tokens=False)["input_ids"])

    model = local.module
    _say(f"{name}: the full cache of {options.cases} texts")
    harness = Harness(model, quality_curves.cases(encode, options))
    parts: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
        "policies": lambda: quality_curves.of_policies(model, harness, options, encode),
        "codecs": lambda: quality_curves.of_codecs(harness, local.layout),
        "reuse": lambda: quality_curves.of_reuse(model, harness, options),
    }
    for part in options.parts:
        for row in parts[part]():
            _say(f"{name}: {row['kind']} {row['name']} {row.get('ratio', '')} {row['seconds']} s")
            yield row


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
