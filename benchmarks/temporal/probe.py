"""Loads a cube's graph into RAM in a process that did nothing else, and says what it takes.

Run as a module by `graph`: reads a JSON task from stdin, writes what it measured to stdout as JSON.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from memos.benchmarks.scaling.probe import rss

# Of a machine with room for any graph that is measured.
_BUDGET = 1 << 40


def run(task: Mapping[str, Any]) -> dict[str, Any]:
    """`url` of the database and `cube` (an id) → bytes of RAM per edge, seconds to load."""
    from memos.graph.deriving.validity import Rules
    from memos.graph.network.projections import GraphProjections
    from memos.identity import UlidMaker, utc_now
    from memos.storage import open_stores

    stores = open_stores(task["url"], new_id=UlidMaker(), clock=utc_now, derivation=Rules())
    try:
        stores.graph.changes(task["cube"], after=0, limit=100)
        held = GraphProjections(stores.graph, most_facts=_BUDGET, budget=_BUDGET)
        gc.collect()
        before, begun = rss(), time.perf_counter()
        with held.fresh(task["cube"]) as projection:
            loaded = time.perf_counter() - begun
            if projection is None:
                raise RuntimeError("the graph was not loaded")
            facts, edges = len(projection), len(projection.edges)
        gc.collect()
        taken = rss() - before
    finally:
        stores.health.close()
    return {
        "facts": facts,
        "edges": edges,
        "rss_bytes": taken,
        "bytes_per_edge": round(taken / edges),
        "bytes_per_fact": round(taken / facts),
        "load_s": round(loaded, 1),
    }


if __name__ == "__main__":
    json.dump(run(json.load(sys.stdin)), sys.stdout)
