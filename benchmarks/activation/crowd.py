"""Several requests at once that begin alike: put together, beside each by itself.

Each is a thread of its own and all come at the same moment. Without grouping they take turns at the
model, pass by pass. Both ways are timed in turn, with the shared opening stored and with nothing
stored, and must give the same answers.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from memos.benchmarks import report
from memos.benchmarks.activation.models import model_of, passages
from memos.errors import MemosError
from memos.kvcache.generator.generator import Event, LocalGenerator
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.request import Generation, Options
from memos.kvcache.grouping.grouping import Grouping
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.reuse.tree import common
from memos.kvcache.store.store import BlockStore

SLOWER = 1.05
"""Most that a crowd may take of its time without grouping."""
Stream = Callable[[str], Iterator[Event]]


def run(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The part's data, and one raw row per request."""
    model = model_of(options, dtype=options.dtype)
    lines: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for count in options.crowd:
        prompts = _prompts(model, count, options)
        for stored in (True, False):
            print(f"… {count} at once, stored: {stored}", file=sys.stderr, flush=True)
            found = _measured(model, prompts, options, stored=stored)
            rows += found
            lines += _lines(found)
    read = sorted({row["opening"] for row in rows})
    data = {"model": model.id, "dtype": options.dtype, "opening": read, "tokens": options.tokens}
    return {**data, "crowds": lines, "targets": _targets(model, lines, rows)}, rows


def _prompts(model: LocalModel, count: int, options: argparse.Namespace) -> list[str]:
    """Texts that have their beginning in common, and nothing else."""
    lengths = [options.opening] + [options.new] * count
    parts = [
        model.tokenizer.decode(passages(model, 1, tokens=length, seed=options.seed + place)[0])
        for place, length in enumerate(lengths)
    ]
    return [f"{parts[0]}\n\n{place + 1}. {own}" for place, own in enumerate(parts[1:])]


def _measured(
    model: LocalModel, prompts: Sequence[str], options: argparse.Namespace, *, stored: bool
) -> list[dict[str, Any]]:
    read = [model.tokens(prompt) for prompt in prompts]
    opening = min(common(read[0], tokens) for tokens in read)
    opening = min(opening, options.opening)
    about = {"count": len(prompts), "stored": stored, "opening": opening}
    wanted = Options(max_new_tokens=options.tokens)
    rows: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory(prefix="memos-kv-", dir=options.store_dir) as folder,
        BlockStore(Path(folder) / "kv", budget_bytes=1 << 40) as store,
    ):
        reuse = PrefixReuse(model, store)
        if stored:
            reuse.compile(read[0][:opening])
        grouping = Grouping(max(options.crowd))
        ways: dict[str, Stream] = {
            "grouped": lambda prompt: grouping.stream(reuse, prompt, wanted),
            "each alone": lambda prompt: LocalGenerator(reuse).stream(prompt, wanted),
        }
        _crowd(ways["each alone"], prompts[:1])  # the first pass of a model is slower
        for repeat in range(options.cold_repeats):
            for way, stream in ways.items():
                total, done = _crowd(stream, prompts)
                rows += [
                    {**about, "way": way, "repeat": repeat, "total_s": total, **_row(i, one)}
                    for i, one in enumerate(done)
                ]
        grouping.close()
    return rows


def _crowd(stream: Stream, prompts: Sequence[str]) -> tuple[float, list[Generation]]:
    """Seconds until the last answer has ended, and the answers. What a request raises is raised."""
    together = threading.Barrier(len(prompts) + 1)
    done: list[Generation | MemosError | None] = [None] * len(prompts)

    def ask(place: int) -> None:
        together.wait()
        try:
            for event in stream(prompts[place]):
                done[place] = event.done
        except MemosError as error:
            done[place] = error

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(len(prompts))]
    for thread in threads:
        thread.start()
    together.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    total = time.perf_counter() - began
    found = []
    for one in done:
        if isinstance(one, MemosError):
            raise one
        if one is None:
            raise MemosError("an answer had no end; this is a fault of memos")
        found.append(one)
    return total, found


def _row(place: int, done: Generation) -> dict[str, Any]:
    return {
        "request": place,
        "ttft_s": done.ttft_s,
        "answer": list(done.tokens),
        "computed": done.computed_tokens,
    }


def _lines(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One for each way: medians over the repeats."""
    found = []
    for way in ("grouped", "each alone"):
        mine = [row for row in rows if row["way"] == way]
        repeats = [[r for r in mine if r["repeat"] == n] for n in {r["repeat"] for r in mine}]
        total = statistics.median(one[0]["total_s"] for one in repeats)
        tokens = statistics.median(sum(len(r["answer"]) for r in one) for one in repeats)
        found.append(
            {
                "count": mine[0]["count"],
                "stored": mine[0]["stored"],
                "way": way,
                "total_s": round(total, 3),
                "ttft_p50_s": round(statistics.median(r["ttft_s"] for r in mine), 3),
                "ttft_max_s": round(
                    statistics.median(max(r["ttft_s"] for r in one) for one in repeats), 3
                ),
                "tokens_per_s": round(tokens / total, 1),
                "computed": round(
                    statistics.median(sum(r["computed"] for r in one) for one in repeats)
                ),
            }
        )
    return found


def _targets(
    model: LocalModel, lines: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    pairs = list(zip(lines[::2], lines[1::2], strict=True))
    slowest = max(grouped["total_s"] / alone["total_s"] for grouped, alone in pairs)
    answers: dict[Any, set[tuple[int, ...]]] = {}
    for row in rows:
        key = (row["count"], row["stored"], row["request"])
        answers.setdefault(key, set()).add(tuple(row["answer"]))
    same = sum(len(found) == 1 for found in answers.values()) / len(answers)
    found = [
        _target(f"time grouped ÷ each alone, any crowd ≤ {SLOWER}", round(slowest, 3), SLOWER),
        {
            "target": "answers that are the same in both ways (promised in float32): all",
            "got": f"{same:.3f}",
            "met": same == 1,
        },
    ]
    crowds = [grouped for grouped, _ in pairs if grouped["count"] > 1 and not grouped["stored"]]
    if crowds and model.layout.croppable:
        # Each request's own tokens are those that it computes where the opening is stored.
        own = {g["count"]: g["computed"] for g, _ in pairs if g["stored"]}
        opening = max(row["opening"] for row in rows)
        most = max((g["computed"] - own[g["count"]]) / opening for g in crowds)
        found.append(_target("times that the opening is computed, none stored ≤ 1", most, 1))
    return found


def _target(name: str, got: float, most: float) -> dict[str, Any]:
    return {"target": name, "got": round(got, 3), "met": got <= most}


def markdown(data: dict[str, Any]) -> str:
    """The part as Markdown."""
    head = ["at once", "opening", "way", "all answers, s", "first token, median s", "latest, s"]
    head += ["tokens/s", "prompt tokens computed"]
    body = [
        [line["count"], "stored" if line["stored"] else "not stored", *list(line.values())[2:]]
        for line in data["crowds"]
    ]
    targets = "\n".join(
        f"- {one['target']}: {one['got']}, {'met' if one['met'] else 'not met'}"
        for one in data["targets"]
    )
    opening = " to ".join(map(str, dict.fromkeys((data["opening"][0], data["opening"][-1]))))
    return (
        f"## Several requests at once\n\n{data['model']}, {data['dtype']}; an opening of {opening} "
        f"tokens that all share, answers of {data['tokens']} tokens at most.\n\n"
        f"{report.table(head, body)}\n\n{targets}"
    )
