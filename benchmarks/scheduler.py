"""The queue: waiting times of the policy in simulation, and real workers on a real database.

The simulation replays a trace through the policy and first come, first served, and holds the latter
against the M/G/1 formula. Then worker processes run jobs that do nothing (throughput), one tenant's
single job meets another's backlog (fairness), and workers are killed (kill -9) while they do deeds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memos.benchmarks import report
from memos.benchmarks.scheduling import kills, load, simulation
from memos.benchmarks.scheduling.simulation import Served
from memos.benchmarks.service.postgres import postgres
from memos.errors import MemosError

NAME = "Scheduler: waiting, throughput, fairness, kills"
PARTS = ("simulation", "throughput", "fairness", "kills")
LOADS = (0.3, 0.5, 0.7, 0.8, 0.9)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, writes the report and prints it. Exit code 1 if a job was lost."""
    options = _options(argv)
    environment = report.environment(seed=options.seed)
    data: dict[str, Any] = {"database": options.database}
    try:
        for part in options.parts:
            print(f"== {part}", file=sys.stderr)
            data[part] = _run(part, options)
    except MemosError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    environment["load_1m_end"] = report.environment()["load_1m"]
    text = markdown(data)
    print(report.describe(environment))
    print()
    print(text)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        if "simulation" in data:
            _plot(data["simulation"], options.out / "waiting.png")
            text += "\n\n![waiting times](waiting.png)\n"
        path = report.write_report(options.out, NAME, data, text, environment=environment)
        print(f"\nreport: {path}")
    killed = data.get("kills", {})
    return 1 if killed.get("lost") or killed.get("sum_is_right") is False else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="memos bench scheduler", description=__doc__)
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, default=PARTS, help="which; default: all")
    add("--database", choices=("sqlite", "postgresql"), default="sqlite")
    add("--workers", type=int, default=4, help="worker processes")
    add("--jobs", type=int, default=10_000, help="for the throughput")
    add("--backlog", type=int, default=10_000, help="of the busy tenant, for the fairness")
    add("--looks", type=int, default=40, help="single jobs, idle and busy, for the fairness")
    add("--seconds", type=float, default=0.01, help="that each job of the fairness takes")
    add("--kills", type=int, default=50)
    add("--deeds", type=int, default=3000, help="jobs during the kills")
    add("--arrivals", type=int, default=20_000, help="of each simulated trace")
    add("--out", type=Path, help="folder for report.json, report.md and the plot")
    add("--seed", type=int, default=0, help="of the traces and of the times of the kills")
    return parser.parse_args(argv)


def _run(part: str, options: argparse.Namespace) -> dict[str, Any]:
    if part == "simulation":
        return simulate(options.arrivals, seed=options.seed)
    with _database(options.database) as url:
        if part == "throughput":
            return load.throughput(url, jobs=options.jobs, workers=options.workers)
        if part == "kills":
            return kills.kills(
                url,
                jobs=options.deeds,
                times=options.kills,
                workers=options.workers,
                seed=options.seed,
            )
        found = load.fairness(
            url, backlog=options.backlog, looks=options.looks, seconds=options.seconds
        )
    idle, busy, before = (
        report.percentiles(found[name]) for name in ("idle_ms", "busy_ms", "before")
    )
    ratios = {f"ratio_{p}": round(busy[p] / idle[p], 3) for p in ("mean", "p50", "p95")}
    return {
        "backlog": options.backlog,
        "idle_ms": idle,
        "busy_ms": busy,
        "begun_before": before,
        **ratios,
    }


def simulate(arrivals: int, *, seed: int) -> dict[str, Any]:
    """Mean waits by load, and by kind at the highest; then a tenant that floods the queue."""
    from memos.config import Settings
    from memos.service.background.queueing import queue_policy

    policy = queue_policy(Settings())
    rows = []
    kinds: dict[str, Any] = {}
    for busy in LOADS:
        trace = simulation.trace(arrivals, load=busy, tenants=5, seed=seed)
        fifo = simulation.first_come(trace)
        ours = simulation.planned(trace, policy, seed=seed)
        rows.append(
            {
                "load": busy,
                "pollaczek_khinchine_s": round(simulation.pollaczek_khinchine(trace), 3),
                "first_come_s": _mean(fifo),
                "policy_s": _mean(ours),
                "policy_median_s": _median(ours),
                "first_come_median_s": _median(fifo),
                "policy_longest_s": round(max(s.wait for s in ours), 1),
                "first_come_longest_s": round(max(s.wait for s in fifo), 1),
            }
        )
        kinds = {
            kind: {"first_come_s": _mean(fifo, kind), "policy_s": _mean(ours, kind)}
            for kind in simulation.MEANS
        }
    return {"arrivals": arrivals, "rows": rows, "by_kind": {"load": LOADS[-1], **kinds}}


def _waits(served: Sequence[Served], kind: str | None) -> list[float]:
    return [s.wait for s in served if kind is None or s.arrival.kind == kind]


def _mean(served: Sequence[Served], kind: str | None = None) -> float:
    waits = _waits(served, kind)
    return round(sum(waits) / len(waits), 4)


def _median(served: Sequence[Served]) -> float:
    waits = sorted(_waits(served, None))
    return round(waits[len(waits) // 2], 4)


def markdown(data: Mapping[str, Any]) -> str:
    parts = []
    if "simulation" in data:
        parts.append(_simulated(data["simulation"]))
    if "throughput" in data:
        found = data["throughput"]
        parts.append(
            f"**Throughput** on {data['database']}: {found['jobs_per_s']:,.0f} jobs/s"
            f" ({found['jobs']:,} jobs that do nothing, {found['workers']} workers, from the first"
            f" lease to the last end); queued at {found['queued_per_s']:,.0f}/s meanwhile."
        )
    if "fairness" in data:
        found = data["fairness"]
        rows = [
            (name, *(found[key][p] for p in ("mean", "p50", "p95", "max")))
            for name, key in (("nobody else has any", "idle_ms"), ("beside the backlog", "busy_ms"))
        ]
        rows.append(("ratio", *(found[f"ratio_{p}"] for p in ("mean", "p50", "p95")), None))
        parts.append(
            f"**Fairness** on {data['database']}: a single job, from queueing to end, in ms; the"
            f" other tenant has {found['backlog']:,}\n\n"
            + report.table(("a single job while", "mean", "p50", "p95", "max"), rows)
            + f"\n\nOf the backlog {found['begun_before']['p50']:g} jobs begin between its queueing"
            " and its own beginning (median)."
        )
    if "kills" in data:
        found = data["kills"]
        parts.append(
            f"**Kills** on {data['database']}: {found['kills']} × `kill -9` of {found['workers']}"
            f" workers during {found['jobs']:,} jobs\n\n"
            + report.table(("what", "value"), list(found.items()))
        )
    return "\n\n".join(parts)


def _simulated(found: Mapping[str, Any]) -> str:
    headers = (
        *("load", "M/G/1 formula", "first come: mean", "policy: mean", "first come: median"),
        *("policy: median", "first come: longest", "policy: longest"),
    )
    rows = [
        (
            *(row["load"], row["pollaczek_khinchine_s"], row["first_come_s"], row["policy_s"]),
            *(row["first_come_median_s"], row["policy_median_s"]),
            *(row["first_come_longest_s"], row["policy_longest_s"]),
        )
        for row in found["rows"]
    ]
    kinds = [
        (kind, simulation.MEANS[kind], waits["first_come_s"], waits["policy_s"])
        for kind, waits in found["by_kind"].items()
        if kind != "load"
    ]
    return (
        f"**Waiting, simulated**: {found['arrivals']:,} jobs per trace, one worker, five tenants;"
        " seconds\n\n"
        + report.table(headers, rows)
        + f"\n\nMean wait by kind at a load of {found['by_kind']['load']}, in seconds:\n\n"
        + report.table(("kind", "takes on average", "first come", "policy"), kinds)
    )


def _plot(found: Mapping[str, Any], path: Path) -> None:
    rows = found["rows"]
    loads = [row["load"] for row in rows]
    figure = report.figure(10.0, 4.5)
    by_load, by_kind = figure.subplots(1, 2)
    for key, name, style in (
        ("pollaczek_khinchine_s", "M/G/1 (Pollaczek–Khinchine)", "k--"),
        ("first_come_s", "first come, first served", "o-"),
        ("policy_s", "policy", "s-"),
        ("policy_median_s", "policy, median", "s:"),
    ):
        by_load.plot(loads, [row[key] for row in rows], style, label=name)
    by_load.set(xlabel="load", ylabel="wait (s)", yscale="log", title="mean wait by load")
    by_load.legend()
    kinds = [kind for kind in found["by_kind"] if kind != "load"]
    places = range(len(kinds))
    for offset, key, name in ((-0.2, "first_come_s", "first come"), (0.2, "policy_s", "policy")):
        waits = [found["by_kind"][kind][key] for kind in kinds]
        by_kind.bar([place + offset for place in places], waits, 0.4, label=name)
    by_kind.set_xticks(list(places), kinds)
    by_kind.set(yscale="log", ylabel="wait (s)", title=f"by kind, load {found['by_kind']['load']}")
    by_kind.legend()
    figure.savefig(path, dpi=150)


@contextmanager
def _database(name: str) -> Iterator[str]:
    """The URL of an empty database that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="memos-queue-", ignore_cleanup_errors=True) as folder:
        if name == "sqlite":
            yield f"sqlite:///{folder}/memos.db"
            return
        Path(folder).chmod(0o755)
        with postgres(Path(folder) / "data") as url:
            yield url


if __name__ == "__main__":
    sys.exit(main())
