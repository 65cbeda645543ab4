"""States elsewhere: what a new machine gains from them, and what they cost when they can't be had.

One machine computes states and copies them away, to a real S3 server on loopback. Another one, with
an empty disk, asks the same: beside computing it, and beside asking once more. Then the server is
frozen, and then killed, and requests are timed beside those of a machine that has no place
elsewhere. Loopback is no wide network: what a link of so many MB/s would take stands in the table.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memos.benchmarks import report
from memos.benchmarks.activation.models import model_of, random_tokens
from memos.benchmarks.service.s3_server import S3Server, s3_server
from memos.kvcache.cost import CostModel, calibrate
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.store.store import BlockStore
from memos.kvcache.tiers.remote import RemoteTier
from memos.kvcache.tiers.tiers import Tiers

URL = "s3://memos-bench/kv"
SLOWER = 1.05
LINK_MB_PER_S = 125
"""A gigabit."""


def run(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The part's data, and one raw row per request."""
    model = model_of(options, dtype=options.dtype)
    rows: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory(prefix="memos-kv-", dir=options.store_dir) as name,
        s3_server(Path(name) / "s3") as server,
    ):
        folder = Path(name)
        cost = calibrate(model, folder)
        prompts = {
            stored: random_tokens(model, stored + options.new, seed=options.seed + stored)
            for stored in options.lengths
        }
        with _machine(model, folder / "first", server, None) as (first, tiers):
            first.begin([next(iter(prompts.values()))])  # the first pass of a model is slower
            for stored, tokens in prompts.items():
                first.compile(tokens[:stored])
            tiers.flush()
        for repeat in range(options.cold_repeats):
            for stored, tokens in prompts.items():
                print(f"… {stored} stored tokens, {repeat}", file=sys.stderr, flush=True)
                where = folder / f"new-{stored}-{repeat}"
                rows += _new_machine(model, where, server, cost, tokens, stored)
        rows += _trouble(model, folder, server, cost, next(iter(prompts.values())), options)
    data = {"model": model.id, "dtype": options.dtype, "calibration": cost.describe()}
    lengths, trouble = _lengths(model, rows, options), _troubles(rows)
    targets = _targets(lengths, trouble)
    return {**data, "lengths": lengths, "trouble": trouble, "targets": targets}, rows


@contextmanager
def _machine(
    model: LocalModel, folder: Path, server: S3Server | None, cost: CostModel | None
) -> Iterator[tuple[PrefixReuse, Tiers]]:
    """A machine's reuse, with its own disk; without a server it has no place elsewhere."""
    with BlockStore(folder, budget_bytes=1 << 40) as store:
        remote = RemoteTier(URL, **server.options) if server else None
        tiers = Tiers(store, remote=remote)
        try:
            yield PrefixReuse(model, tiers, salt=b"bench", cost=cost), tiers
        finally:
            tiers.close()


def _new_machine(
    model: LocalModel,
    folder: Path,
    server: S3Server,
    cost: CostModel,
    tokens: Sequence[int],
    stored: int,
) -> list[dict[str, Any]]:
    """A machine that asks as soon as it is there, and one that knows already what is elsewhere."""
    about: dict[str, Any] = {"stored": stored}
    with _machine(model, folder.with_suffix(".at-once"), server, cost) as (reuse, _):
        at_once = {**about, "step": "at once", **_timed(model, reuse, tokens)}
    with _machine(model, folder, server, cost) as (reuse, tiers):
        tiers.expect(reuse.root)
        computed = {**about, "step": "computed", **_timed(model, PrefixReuse(model), tokens)}
        found = {**about, "step": "elsewhere", **_timed(model, reuse, tokens)}
        found["fetched"] = tiers.stats().loads["remote"] > 0
        here = {**about, "step": "here", **_timed(model, reuse, tokens)}
    return [at_once, computed, found, here]


def _trouble(
    model: LocalModel,
    folder: Path,
    server: S3Server,
    cost: CostModel,
    tokens: Sequence[int],
    options: argparse.Namespace,
) -> list[dict[str, Any]]:
    """Requests while the server answers nothing, then while there is none; in turn with those of a
    machine that has no place elsewhere."""
    found = []
    for state, sign in (("frozen", signal.SIGSTOP), ("gone", signal.SIGKILL)):
        print(f"… server {state}", file=sys.stderr, flush=True)
        with (
            _machine(model, folder / f"{state}-with", server, cost) as (reuse, _),
            _machine(model, folder / f"{state}-without", None, cost) as (plain, _),
        ):
            server.process.send_signal(sign)
            for turn in range(options.repeats):
                for name, asked in (("with", reuse), ("without", plain)):
                    about = {"step": state, "machine": name, "turn": turn}
                    found.append({**about, **_timed(model, asked, tokens)})
            server.process.send_signal(signal.SIGCONT)
    return found


def _timed(model: LocalModel, reuse: PrefixReuse, tokens: Sequence[int]) -> dict[str, Any]:
    model.synchronize()
    began = time.perf_counter()
    begun = reuse.begin([tokens])
    model.synchronize()
    return {"ms": round((time.perf_counter() - began) * 1e3, 3), "reused": begun.cached[0]}


def _lengths(
    model: LocalModel, rows: Sequence[dict[str, Any]], options: argparse.Namespace
) -> list[dict[str, Any]]:
    lines = []
    for stored in options.lengths:
        mine = [row for row in rows if row.get("stored") == stored]
        ms = {
            step: statistics.median(row["ms"] for row in mine if row["step"] == step)
            for step in ("computed", "at once", "elsewhere", "here")
        }
        size = model.layout.bytes_of(stored)
        lines.append(
            {
                "stored": stored,
                "mb": round(size / 1e6, 1),
                "computed_ms": round(ms["computed"], 1),
                "at_once_ms": round(ms["at once"], 1),
                "elsewhere_ms": round(ms["elsewhere"], 1),
                "fetched": sum(row.get("fetched", False) for row in mine),
                "here_ms": round(ms["here"], 1),
                "ratio": round(max(ms["at once"], ms["elsewhere"]) / ms["computed"], 3),
                "link_ms": round(size / LINK_MB_PER_S / 1e3, 1),
            }
        )
    return lines


def _troubles(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    lines = []
    for state in ("frozen", "gone"):
        ms = {
            name: [r["ms"] for r in rows if r["step"] == state and r["machine"] == name]
            for name in ("with", "without")
        }
        first, *later = ms["with"]
        lines.append(
            {
                "state": state,
                "n": len(ms["with"]),
                "without_ms": round(statistics.median(ms["without"]), 1),
                "first_ms": round(first, 1),
                "later_ms": round(statistics.median(later), 1),
                "latest_ms": round(max(later), 1),
                "ratio": round(statistics.median(later) / statistics.median(ms["without"][1:]), 3),
            }
        )
    return lines


def _targets(
    lengths: Sequence[dict[str, Any]], trouble: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    slowest = max(line["ratio"] for line in lengths)
    later = max(line["ratio"] for line in trouble)
    first = max(line["first_ms"] / line["without_ms"] for line in trouble)
    return [
        {
            "target": f"a new machine's first request ÷ computing it, any length ≤ {SLOWER}",
            "got": slowest,
            "met": slowest <= SLOWER,
        },
        {
            "target": f"requests while the server is frozen or gone, after the first ≤ {SLOWER} ×",
            "got": later,
            "met": later <= SLOWER,
        },
        {
            "target": f"the first one of them ≤ {SLOWER} ×",
            "got": round(first, 3),
            "met": first <= SLOWER,
        },
    ]


def markdown(data: dict[str, Any]) -> str:
    """The part as Markdown."""
    head = ["stored tokens", "MB", "computed, ms", "new machine at once, ms", "once listed, ms"]
    head += ["fetched", "asked again, ms", "slower of both ÷ computed"]
    head += [f"at {LINK_MB_PER_S} MB/s the file alone takes, ms"]
    wrong = ["server", "requests", "no place elsewhere, ms", "first, ms", "later, ms", "latest, ms"]
    targets = "\n".join(
        f"- {one['target']}: {one['got']}, {'met' if one['met'] else 'not met'}"
        for one in data["targets"]
    )
    return (
        f"## States elsewhere\n\n{data['model']}, {data['dtype']}; SeaweedFS on loopback by s3fs; "
        f"medians of the time to the first token.\n\n"
        f"{report.table(head, [list(line.values()) for line in data['lengths']])}\n\n"
        f"{report.table([*wrong, '÷'], [list(line.values()) for line in data['trouble']])}"
        f"\n\n{targets}"
    )
