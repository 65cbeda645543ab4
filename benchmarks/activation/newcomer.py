"""A long prompt that comes while an answer is being made: how long the answer falls silent.

One request is answered token by token; another with a long prompt comes after some tokens. The
prompt is read in parts, between which the first goes on, or whole, as a server does that knows no
parts; in turn. Both answers must be those of each request by itself.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from memos.benchmarks import report
from memos.benchmarks.activation.models import model_of, passages
from memos.errors import InvalidInput, MemosError
from memos.kvcache.generator.generator import LocalGenerator
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.request import Generation, Options
from memos.kvcache.grouping.grouping import Grouping
from memos.kvcache.reuse.prefix import PrefixReuse

WHOLE = 1 << 30
AFTER = 8
"""Pieces of the first answer that are there when the newcomer comes; fewer of a short answer."""
ANSWER = 16
WAYS = {"in parts": None, "whole": WHOLE}
SHORTER = 4


def run(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The part's data, and one raw row per newcomer."""
    model = model_of(options, dtype=options.dtype)
    rows: list[dict[str, Any]] = []
    first = model.tokenizer.decode(passages(model, 1, tokens=options.new, seed=options.seed)[0])
    for length in options.lengths:
        print(f"… a newcomer of {length} tokens", file=sys.stderr, flush=True)
        later = model.tokenizer.decode(
            passages(model, 1, tokens=length, seed=options.seed + length)[0]
        )
        alone = [
            list(LocalGenerator(PrefixReuse(model)).generate(prompt, wanted).tokens)
            for prompt, wanted in zip((first, later), _wanted(options), strict=True)
        ]
        for repeat in range(options.cold_repeats):
            for way, part in WAYS.items():
                found = _newcomer(model, (first, later), options, part)
                same = found.pop("answers") == alone
                rows.append({"length": length, "way": way, "repeat": repeat, **found, "same": same})
    lines = [_line(length, way, rows) for length in options.lengths for way in WAYS]
    data = {"model": model.id, "dtype": options.dtype}
    return {**data, "newcomers": lines, "targets": _targets(lines, rows)}, rows


def _wanted(options: argparse.Namespace) -> tuple[Options, Options]:
    return Options(max_new_tokens=options.tokens), Options(max_new_tokens=ANSWER)


def _newcomer(
    model: LocalModel, prompts: Sequence[str], options: argparse.Namespace, part: int | None
) -> dict[str, Any]:
    grouping = Grouping(2)
    reuse = PrefixReuse(model, part_tokens=part)
    wanted, after = _wanted(options), min(AFTER, options.tokens // 3)
    done: list[Generation | None] = [None, None]
    passes: list[float] = []
    come = threading.Event()

    def ask(place: int) -> None:
        for event in grouping.stream(reuse, prompts[place], wanted[place]):
            if place == 0:
                passes.append(time.perf_counter())
                if len(passes) == after:
                    come.set()
            done[place] = event.done
        come.set()

    threads = [threading.Thread(target=ask, args=(place,)) for place in (0, 1)]
    threads[0].start()
    come.wait()
    asked = time.perf_counter()
    threads[1].start()
    for thread in threads:
        thread.join()
    grouping.close()
    first, later = done
    if first is None or later is None:
        raise MemosError("an answer had no end; this is a fault of memos")
    silences = [end - begin for begin, end in pairwise(passes)]
    if not 1 < after < len(silences):
        raise InvalidInput(
            f"an answer of {len(first.tokens)} tokens is too short to be disturbed; more --tokens"
        )
    return {
        "longest_s": round(max(silences[after - 1 :]), 4),
        "usual_s": round(statistics.median(silences[: after - 1]), 4),
        "newcomer_first_s": round(later.ttft_s, 4),
        "all_s": round(max(passes[-1], time.perf_counter()) - asked, 4),
        "answers": [list(one.tokens) for one in (first, later)],
    }


def _line(length: int, way: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    mine = [row for row in rows if row["length"] == length and row["way"] == way]
    names = ("usual_s", "longest_s", "newcomer_first_s", "all_s")
    medians = {name: round(statistics.median(row[name] for row in mine), 3) for name in names}
    return {"length": length, "way": way, **medians}


def _targets(
    lines: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    parts, whole = lines[-2:]  # of the longest newcomer
    shorter = whole["longest_s"] / parts["longest_s"]
    later = parts["newcomer_first_s"] / whole["newcomer_first_s"]
    same = sum(row["same"] for row in rows) / len(rows)
    return [
        {
            "target": f"silence, whole ÷ in parts, longest newcomer ≥ {SHORTER}",
            "got": round(shorter, 2),
            "met": shorter >= SHORTER,
        },
        {
            "target": "the newcomer's first token, in parts ÷ whole ≤ 1.5",
            "got": round(later, 3),
            "met": later <= 1.5,
        },
        {
            "target": "answers as each alone (promised in float32): all",
            "got": f"{same:.3f}",
            "met": same == 1,
        },
    ]


def markdown(data: dict[str, Any]) -> str:
    """The part as Markdown."""
    head = ["newcomer's tokens", "read", "usual pause, s", "longest pause, s"]
    head += ["newcomer's first token, s", "both answers, s"]
    targets = "\n".join(
        f"- {one['target']}: {one['got']}, {'met' if one['met'] else 'not met'}"
        for one in data["targets"]
    )
    return (
        f"## A long prompt beside an answer\n\n{data['model']}, {data['dtype']}; medians. A pause "
        "is the time between two pieces of the answer that is under way.\n\n"
        f"{report.table(head, [list(line.values()) for line in data['newcomers']])}\n\n{targets}"
    )
