"""Searches one cube in a process that did nothing else, so that its time and memory are a server's.

Run as a module by `scale`: reads a JSON task from stdin, writes what it measured to stdout as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memos.protocols import Embedder
    from memos.service import MemoryOS

DIMENSIONS = 384


def measure(task: Mapping[str, Any]) -> dict[str, Any]:
    """Runs a task in a process of its own.

    `data_dir`, `cube`, `vectors` (real or synthetic), `queries`, and `variants`: search keywords by
    name, each run for every query in turn, so that a busy moment hits all of them alike. Answers
    `rss` in bytes (with the model loaded, after the cube was loaded, after the queries), `first_ms`
    (the search that loads the cube), `projection` (what the service says it holds) and `rows`.
    """
    import memos

    root = str(Path(memos.__file__).resolve().parents[1])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "memos.benchmarks.scaling.probe"],
        input=json.dumps(dict(task)),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the measuring process ended with exit code {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def embedder_for(vectors: str, data_dir: Path) -> Embedder:
    """The configured model, or for synthetic vectors hashed words (no model, same dimensions)."""
    from memos import assembly, config

    if vectors == "synthetic":
        from memos.testing import HashEmbedder

        return HashEmbedder(dimensions=DIMENSIONS)
    return assembly.make_embedder(config.load(data_dir=data_dir))


def rss() -> int:
    """Bytes of this process in RAM: now on Linux, the most so far elsewhere."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _run(task: Mapping[str, Any]) -> dict[str, Any]:
    from memos import assembly, config

    data_dir = Path(task["data_dir"])
    embedder = embedder_for(task["vectors"], data_dir)
    settings = config.load(data_dir=data_dir, **task.get("settings", {}))
    service = assembly.build(settings, embedder=embedder)
    try:
        embedder.embed(["the model is loaded by its first text"])
        memory = {"model": rss()}
        view = service.tenant()
        begun = time.perf_counter()
        view.search("What happened at the very beginning?", cube=task["cube"])
        first_ms = (time.perf_counter() - begun) * 1000
        memory["loaded"] = rss()
        for query in task["queries"][: task["warm_up"]]:
            view.search(query + " again", cube=task["cube"])
        rows = [
            {"query": query, "variant": name, **_timed(view, query, task["cube"], keywords)}
            for query in task["queries"]
            for name, keywords in task["variants"].items()
        ]
        memory["after"] = rss()
        return {
            "rss": memory,
            "first_ms": first_ms,
            "projection": {
                name: value
                for name, value in service.metrics_snapshot().items()
                if name.startswith("projection")
            },
            "rows": rows,
        }
    finally:
        service.close()


def _timed(view: MemoryOS, query: str, cube: str, keywords: Mapping[str, Any]) -> dict[str, Any]:
    result = view.search(query, cube=cube, **keywords)
    return {
        **{f"{name}_ms": round(value, 4) for name, value in result.timings_ms.items()},
        "hits": len(result.hits),
        "considered": result.considered,
    }


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    json.dump(_run(json.load(sys.stdin)), sys.stdout)
