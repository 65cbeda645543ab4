"""The parts of the benchmark of consolidation: a year, growth, latency, erasure."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memos.benchmarks import report
from memos.benchmarks.keeping import probe
from memos.benchmarks.keeping.year import Year
from memos.consolidation.wording import wording
from memos.types import Policy

if TYPE_CHECKING:
    from memos.protocols import Embedder
    from memos.service import MemoryOS, Service
    from memos.types import Cube

_BATCH = 500
_PASSES = 2
_ERASED = 100
_GATHER_SECONDS, _LULL_SECONDS = 1.5, 11.0
"""How long jobs that read facts, and those that make summaries, wait for more."""
_WARM = 20
_QUIET = 300
"""Searches that the idle latency is taken from."""
_MOST_SECONDS = 60.0


def embedder_of(options: argparse.Namespace) -> Embedder:
    """The default model, or the deterministic one that costs nothing."""
    from memos import assembly, config
    from memos.testing import HashEmbedder

    if options.embedder == "hash":
        return HashEmbedder(dimensions=384)
    return assembly.make_embedder(config.load())


@contextmanager
def opened(folder: Path, embedder: Embedder, **settings: Any) -> Iterator[tuple[Service, MemoryOS]]:
    """A service on SQLite in `folder`, its worker not started."""
    from memos import assembly, config
    from memos.service import DEFAULT_TENANT

    made = {"vector_index": "none", "notes": False, **settings}
    service = assembly.build(config.load(data_dir=folder, **made), embedder=embedder)
    try:
        yield service, service.tenant(DEFAULT_TENANT)
    finally:
        service.close()


def fill(service: Service, memory: MemoryOS, cube: str, year: Year) -> float:
    """Adds a year; the seconds. It is consolidated when the benchmark says so, not by itself."""
    memory.create_cube(cube)
    memory.set_policy(Policy(consolidate_after=0), cube=cube)
    begun = time.perf_counter()
    for _ in memory.add_batch(year.turns(), cube=cube, batch_size=_BATCH):
        pass
    return time.perf_counter() - begun


def year(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Duplicates, stale answers and bytes of a year, before and after two nights; with `whole` also
    searches during the first night, and erasing after the second, with facts and all."""
    told = Year(options.size, options.seed)
    found: dict[str, Any] = {"size": options.size, "people": len(told.people)}
    with opened(folder, embedder_of(options)) as (service, memory):
        say(f"adding {options.size:,} turns")
        found["add_seconds"] = round(fill(service, memory, "year", told), 1)
        cube = memory.cube("year")
        found["before"] = probe.live(service, cube.id, told)
        if options.read == "first":
            _read(service, memory, found)
        for night in range(1, _PASSES + 1):
            say(f"night {night}")
            if options.whole and night == 1:
                found["latency"] = _searched(service, memory, "year", told)
                seconds = found["latency"].pop("seconds")
                found["night_1"] = {"seconds": seconds, "memories_per_second": None}
            else:
                found[f"night_{night}"] = _night(service, cube)
            found[f"night_{night}"] |= probe.live(service, cube.id, told)
            if night == 1 and options.read == "between":
                _read(service, memory, found)
        found["after"] = probe.live(service, cube.id, told)
        say("asking")
        found["stale"] = probe.stale(service, memory, "year", told)
        found["saved_bytes_share"] = round(
            1 - found["after"]["bytes"] / found["before"]["bytes"], 4
        )
        found["audit"] = {
            name: getattr(audit, name).share
            for audit in [memory.audit(cube="year")]
            for name in ("duplicate", "stale", "loop", "junk")
        }
        if options.whole:
            say("erasing")
            found["erase"] = _erased(service, memory, "year", options.seed)
    return found


def _read(service: Service, memory: MemoryOS, found: dict[str, Any]) -> None:
    say("reading facts")
    time.sleep(_GATHER_SECONDS)
    with probe.timed(found, "reading_seconds"):
        memory.extract(cube="year")
        service.worker.drain()
    # Summaries wait for a lull; they are not to be made in the night.
    time.sleep(_LULL_SECONDS)
    with probe.timed(found, "summaries_seconds"):
        service.worker.drain()
    found["reading_seconds"] += found["summaries_seconds"]
    found["reading_per_second"] = round(found["size"] / found["reading_seconds"])


def _night(service: Service, cube: Cube) -> dict[str, Any]:
    """One consolidation with nothing else going on."""
    count = service.stores.feed.last(cube.id)
    begun, worked = time.perf_counter(), time.process_time()
    done = service.sleep.run(cube, run_id="bench", beat=lambda share: True)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - worked
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "actions": done,
        "memories_per_second": round(count / seconds),
    }


def growth(
    options: argparse.Namespace,
    folder: Path,
    *,
    save: Callable[[list[dict[str, Any]]], None] = lambda rows: None,
) -> list[dict[str, Any]]:
    """Seconds of one consolidation against the number of memories. `save` is called after each
    size: a run of hours that is cut has a report of what it came to."""
    rows: list[dict[str, Any]] = []
    for size in options.sizes:
        say(f"{size:,} memories")
        rows.append(_grown(options, folder / str(size), size))
        say(f"{rows[-1]}")
        save(rows)
        shutil.rmtree(folder / str(size))
    return rows


def _grown(options: argparse.Namespace, folder: Path, size: int) -> dict[str, Any]:
    with opened(folder, embedder_of(options), extraction="none") as (service, memory):
        adding = fill(service, memory, "year", Year(size, options.seed))
        say(f"added {size / adding:,.0f} a second")
        # As in a process that has not just added all of it: of a small cube every text would still
        # be in this cache, of a large one none.
        wording.cache_clear()
        night = _night(service, memory.cube("year"))
    return {"memories": size, "add_per_second": round(size / adding), **night}


def latency(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Searches while a worker of the same process consolidates, beside searches in a calm."""
    told = Year(options.latency_size, options.seed)
    with opened(folder, embedder_of(options), extraction="none") as (service, memory):
        fill(service, memory, "year", told)
        return _searched(service, memory, "year", told)


def _searched(service: Service, memory: MemoryOS, cube: str, told: Year) -> dict[str, Any]:
    """One consolidation by a worker of the process, searched beside for a minute at most."""
    from memos.service.keeping.keeping import CONSOLIDATE

    questions = [
        f"What did {name} say about {word}?"
        for name in told.people
        for word in ("the lamp", "Lisbon", "jazz", "the euros")
    ]

    def ask(text: str) -> object:
        return memory.search(text, cube=cube, limit=10)

    for question in questions[:_WARM]:
        ask(question)
    done = iter(range(_QUIET))
    idle = probe.latencies(ask, questions, until=lambda: next(done, None) is None)
    job = memory.consolidate(cube=cube)
    thread = threading.Thread(target=service.worker.run_batch, args=([CONSOLIDATE],), daemon=True)
    begun = time.perf_counter()
    thread.start()
    end = begun + _MOST_SECONDS
    busy = probe.latencies(
        ask, questions, until=lambda: not thread.is_alive() or time.perf_counter() > end
    )
    finished = not thread.is_alive()
    thread.join()
    idle_ms, busy_ms = report.percentiles(idle), report.percentiles(busy)
    return {
        "memories": told.size,
        "seconds": round(time.perf_counter() - begun, 1),
        "idle_ms": idle_ms,
        "during_ms": busy_ms,
        "searches": {"idle": len(idle), "during": len(busy)},
        "p95_ratio": round(busy_ms["p95"] / idle_ms["p95"], 3),
        "job": memory.job(job.id).state.value,
        "finished_under_load": finished,
    }


def erasure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Milliseconds of erasing one memory out of many, with those merged into it."""
    told = Year(options.erase_size, options.seed)
    with opened(folder, embedder_of(options), extraction="none") as (service, memory):
        fill(service, memory, "year", told)
        service.keeping.consolidate(memory.cube("year"), run_id="bench", beat=lambda share: True)
        return _erased(service, memory, "year", options.seed)


def _erased(service: Service, memory: MemoryOS, cube: str, seed: int) -> dict[str, Any]:
    """Of live memories chosen by chance, one after the other."""
    items = probe.held(service, memory.cube(cube).id)
    rows: list[dict[str, Any]] = []
    gone: set[str] = set()
    for item in random.Random(seed).sample(items, min(_ERASED, len(items))):
        if item.memory.id in gone:
            continue  # It went with one that it was made of.
        begun = time.perf_counter()
        receipt = memory.erase(item.memory.id, cube=cube)
        ms = round((time.perf_counter() - begun) * 1000, 2)
        gone.update(receipt.memory_ids)
        rows.append({"ms": ms, "memories": len(receipt.memory_ids)})
    last = service.stores.feed.last(memory.cube(cube).id)
    return {
        "live": len(items),
        "changes": last,
        "erase_ms": report.percentiles([row["ms"] for row in rows]),
        "rows": rows,
    }


def say(text: str) -> None:
    """Progress, on stderr."""
    print(f"… {text}", file=sys.stderr, flush=True)
