"""Consolidation and forgetting: what they leave, what they cost, and what they do to searches.

    year     a year that repeats, varies and corrects facts: duplicates, stale answers, bytes
    locomo   Recall@10 before, after consolidation, and after forgetting to half the bytes
    growth   memories per second against their number
    latency  searches while a consolidation runs, beside searches in a calm
    erase    milliseconds of erasing one memory out of many

Everything is embedded before the clock of a consolidation starts. Knows the verbs and the truth of
the year; not how memories are compared.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from memos.benchmarks import report
from memos.benchmarks.keeping import locomo_after, parts, rendering
from memos.benchmarks.texts import locomo_data
from memos.errors import MemosError

_BESIDE = ("latency", "erase")
PARTS = ("year", "locomo", "growth", "latency", "erase")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the parts asked for, prints and writes the report. Exit code 1 for an error of ours."""
    options = _options(argv)
    environment = report.environment(seed=options.seed)
    try:
        data = run(options, environment)
    except MemosError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    print(report.describe(environment))
    print()
    print(rendering.markdown(data))
    if options.out is not None:
        print(f"\nreport: {rendering.write(options.out, data, environment)}")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="memos bench consolidation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--parts", default=",".join(PARTS), help="which, by commas")
    add("--size", type=int, default=100_000, help="memories of the year")
    add("--seed", type=int, default=0, help="of the year and of what is erased")
    add("--data", type=Path, default=locomo_data.SAMPLE, help="conversations in LoCoMo's format")
    add("--sizes", type=_numbers, default=(1_000, 10_000, 30_000, 100_000), help="for growth")
    add("--latency-size", type=int, default=10_000, help="memories of the cube that is searched")
    add("--erase-size", type=int, default=100_000)
    add("--embedder", choices=("default", "hash"), default="default", help="hash: costs nothing")
    add(
        "--read",
        choices=("first", "between", "never"),
        default="first",
        help="when facts are read in the year: as it goes, or only of what the first night left",
    )
    add(
        "--whole",
        action="store_true",
        help="the year's cube is searched during its first night, and erased from in the end",
    )
    add("--out", type=Path, help="folder for report.json, report.md and plots")
    return parser.parse_args(argv)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def run(options: argparse.Namespace, environment: Mapping[str, Any]) -> dict[str, Any]:
    """The figures by part."""
    data: dict[str, Any] = {"embedder": options.embedder}

    def save(rows: list[dict[str, Any]]) -> None:
        if options.out is not None:
            so_far = {**data, "growth": rows}
            so_far["targets"] = rendering.targets(so_far)
            rendering.write(options.out, so_far, environment)

    made: dict[str, Callable[[argparse.Namespace, Path], Any]] = {
        "year": parts.year,
        "locomo": locomo_after.recall,
        "growth": partial(parts.growth, save=save),
        "latency": parts.latency,
        "erase": parts.erasure,
    }
    for name in options.parts.split(","):
        if name not in made:
            raise SystemExit(f"no part {name!r}; there are {', '.join(PARTS)}")
        parts.say(name)
        folder = Path(tempfile.mkdtemp(prefix=f"memos-{name}-"))
        try:
            data[name] = made[name](options, folder)
            # What a whole year measures besides is reported like the parts of that name.
            data |= {
                part: data[name].pop(part)
                for part in _BESIDE
                if name == "year" and part in data[name]
            }
        finally:
            shutil.rmtree(folder)
    data["targets"] = rendering.targets(data)
    return data


if __name__ == "__main__":
    sys.exit(main())
