"""What one would otherwise write: all facts in one networkx graph in RAM, filtered in Python.

Run as a module by `graph`, so that its memory is its own: reads a JSON task from stdin, writes what
it measured to stdout as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from memos.benchmarks import report
from memos.benchmarks.scaling.probe import rss
from memos.benchmarks.temporal.facts import FUNCTIONAL, Facts

_BATCH = 10_000


def measure(task: Mapping[str, Any]) -> dict[str, Any]:
    """Runs a task (`facts`, `seed`, `queries`: entity and time, `limit`) in its own process."""
    return apart("memos.benchmarks.temporal.networkx_baseline", task)


def apart(module: str, task: Mapping[str, Any]) -> dict[str, Any]:
    """What a module answers to a task in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(dict(task)),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the measuring process ended with exit code {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _load(facts: Facts) -> Any:
    import networkx

    graph = networkx.MultiDiGraph()
    open_since: dict[tuple[int, str], dict[str, Any]] = {}
    for batch in facts.batches(_BATCH):
        for fact in batch:
            target = fact.object if fact.object is not None else f"={fact.value}"
            data = {"since": fact.since, "until": None, "confidence": fact.confidence}
            key = graph.add_edge(fact.subject, target, predicate=fact.predicate, **data)
            if fact.predicate in FUNCTIONAL:
                edge = graph.edges[fact.subject, target, key]
                former = open_since.get((fact.subject, fact.predicate))
                if former is not None:
                    former["until"] = fact.since
                open_since[fact.subject, fact.predicate] = edge
    return graph


def _around(graph: Any, entity: int, at: datetime, hops: int, limit: int) -> int:
    met, ring, count = {entity}, [entity], 0
    for _ in range(hops):
        reached = []
        for node in ring:
            for edges, end in ((graph.out_edges, 1), (graph.in_edges, 0)):
                for edge in edges(node, data=True):
                    data = edge[2]
                    if data["since"] > at or (data["until"] is not None and data["until"] <= at):
                        continue
                    count += 1
                    if count >= limit:
                        return count
                    if edge[end] not in met:
                        met.add(edge[end])
                        reached.append(edge[end])
        ring = [node for node in reached if node in graph]
    return count


def _triple(graph: Any, entity: int, predicate: str, at: datetime) -> int:
    return sum(
        1
        for _, _, data in graph.out_edges(entity, data=True)
        if data["predicate"] == predicate
        and data["since"] <= at
        and (data["until"] is None or data["until"] > at)
    )


def _run(task: Mapping[str, Any]) -> dict[str, Any]:
    facts = Facts(task["facts"], task["seed"])
    before = rss()
    begun = time.perf_counter()
    graph = _load(facts)
    loaded = time.perf_counter() - begun
    held = rss() - before
    times: dict[str, list[float]] = {"hop1": [], "hop2": [], "triple": []}
    for entity, predicate, at_text in task["queries"]:
        at = datetime.fromisoformat(at_text)
        if entity not in graph:
            continue
        for name, ask in (
            ("hop1", lambda e=entity, t=at: _around(graph, e, t, 1, task["limit"])),
            ("hop2", lambda e=entity, t=at: _around(graph, e, t, 2, task["limit"])),
            ("triple", lambda e=entity, p=predicate, t=at: _triple(graph, e, p, t)),
        ):
            start = time.perf_counter()
            ask()
            times[name].append((time.perf_counter() - start) * 1000)
    return {
        "load_s": round(loaded, 2),
        "facts_per_s": round(facts.count / loaded),
        "bytes_per_fact": round(held / facts.count),
        "ms": {name: report.percentiles(values) for name, values in times.items()},
    }


if __name__ == "__main__":
    json.dump(_run(json.load(sys.stdin)), sys.stdout)
