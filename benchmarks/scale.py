"""Latency, memory and disk against the number of memories in one cube; ingest against the embedder.

One cube grows from size to size through `add_batch`; at each size a fresh process searches it (the
default configuration, so beyond 20,000 memories with the vector index). Beside that: a filter that
keeps a tenth of the largest cube, the query's embedding, the start of `memos serve` to its first
answered search, the client's import, and `add_batch` against bare embedding of the same texts.
The conversations are made up (texts/conversations.py); it measures time and space, no quality.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memos.benchmarks import report
from memos.benchmarks.scaling import probe, rendering
from memos.benchmarks.service.server_process import Server
from memos.benchmarks.texts.conversations import Conversations
from memos.errors import AlreadyExists, MemosError, ServiceUnavailable
from memos.types import JobState

if TYPE_CHECKING:
    from memos.protocols import Embedder
    from memos.service import MemoryOS
    from memos.types import NewMemory

CUBE = "scale"
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
WARM_UP = 20
INGEST_ROUNDS = 4
IMPORTS = 5
START_LIMIT_S = 120.0
INDEXING = frozenset({"index", "vector_sync", "vector_build"})
READING = frozenset({"extract", "extract_one", "notes"})
UNFILTERED = "unfiltered"
ALL_CHANNELS = "all channels"
"""Unfiltered too, with the graph channel, which is off by default."""
# Conversations belong to ten users in turn, so both keep a tenth.
FILTERS: dict[str, dict[str, Any]] = {
    UNFILTERED: {},
    "user scope": {"user_id": "user-3"},
    "metadata filter": {"filter": {"tenth": {"eq": 3}}},
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, writes the report and prints it."""
    options = _options(argv)
    environment = report.environment(seed=options.seed, vectors=options.vectors)
    try:
        with _folder(options.data_dir) as folder:
            data, rows = run(folder, options)
    except MemosError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    environment["load_1m_end"] = report.environment()["load_1m"]
    print(report.describe(environment))
    print()
    print(rendering.markdown(data))
    if options.out is not None:
        path = rendering.write(options.out, data, rows, environment)
        print(f"\nreport: {path}; raw rows beside it")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="memos bench scale", description=__doc__)
    add = parser.add_argument
    add("--sizes", type=_sizes, default=SIZES, help="memories in the cube, e.g. 1000,10000,100000")
    add("--queries", type=int, default=300, help="different searches at each size")
    add(
        "--vectors",
        choices=("real", "synthetic"),
        default="real",
        help="real: the configured model; synthetic: hashed words, for a quick look",
    )
    add("--ingest", type=int, default=4_000, help="texts of the ingest comparison")
    add("--seed", type=int, default=0, help="of the conversations and the questions")
    add("--out", type=Path, help="folder for report.json, report.md, growth.png and raw rows")
    add("--data-dir", type=Path, help="an empty folder to keep; default: a temporary one")
    return parser.parse_args(argv)


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(sorted({int(part.replace("_", "")) for part in text.split(",")}))
    if sizes[0] < 1:
        raise argparse.ArgumentTypeError("sizes start at 1")
    return sizes


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="memos-scale-") as folder:
        yield Path(folder)


def run(folder: Path, options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The report's data and the raw rows of every search."""
    conversations = Conversations(options.seed)
    queries = conversations.questions(options.queries)
    # The export of the model happens once per machine and belongs to no figure.
    embedder = probe.embedder_for(options.vectors, folder)
    embedder.embed(["ready"])
    _say("ingest against the embedder")
    ingest = _ingest(folder, embedder, options, conversations)
    growth, rows = [], []
    turns = conversations.turns(max(options.sizes))
    held = 0
    for size in options.sizes:
        _say(f"growing the cube to {size:,} memories")
        grown = _grow(folder, embedder, islice(turns, size - held), size - held)
        held = size
        _say(f"searching {size:,} memories")
        variants = FILTERS if size == max(options.sizes) else {UNFILTERED: {}}
        task = {
            "data_dir": str(folder),
            "vectors": options.vectors,
            "cube": CUBE,
            "queries": queries,
            "warm_up": WARM_UP,
        }
        found = probe.measure({**task, "variants": variants})
        walked = probe.measure(
            {**task, "variants": {ALL_CHANNELS: {}}, "settings": {"graph_weight": 1.0}}
        )
        rows += [{"memories": size, **row} for row in (*found["rows"], *walked["rows"])]
        growth.append(_point(size, found, walked, grown, _disk(folder)))
    _say("starting servers and clients")
    data = {
        "vectors": options.vectors,
        "memories": list(options.sizes),
        "unit": "ms",
        "systems": {"memos": {str(point["memories"]): _metrics(point) for point in growth}},
        "growth": growth,
        "filter": _filters(rows, max(options.sizes)),
        "ingest": ingest,
        "query_embedding_ms": _embedding(rows, options.vectors),
        "cold_start": _cold_starts(folder, options, queries),
        "client_import_ms": _import_ms(),
    }
    data["targets"] = rendering.targets(data)
    return data, rows


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


@contextmanager
def _opened(folder: Path, embedder: Embedder, **settings: Any) -> Iterator[MemoryOS]:
    """A service with its worker, and the cube in it."""
    from memos import assembly, config

    service = assembly.build(config.load(data_dir=folder, **settings), embedder=embedder)
    try:
        service.worker.start()
        view = service.tenant()
        with suppress(AlreadyExists):
            view.create_cube(CUBE)
        yield view
    finally:
        service.close()


def _grow(
    folder: Path, embedder: Embedder, turns: Iterator[NewMemory], count: int
) -> dict[str, float]:
    """Adds turns and waits until the vector index has them and facts were read out of them; seconds
    of each, the waits from the end of adding."""
    with _opened(folder, embedder) as memory:
        begun = time.perf_counter()
        for _ in memory.add_batch(turns, cube=CUBE, batch_size=256):
            pass
        added = time.perf_counter() - begun
        _until_done(memory, INDEXING)
        indexed = time.perf_counter() - begun - added
        _until_done(memory, READING)
        read = time.perf_counter() - begun - added
    return {"added": count, "add_s": added, "index_wait_s": indexed, "read_wait_s": read}


def _until_done(memory: MemoryOS, kinds: frozenset[str]) -> None:
    """Waits until no job of these kinds is left. Summaries are not waited for: they come much
    later, and no figure is of them."""
    states = (JobState.QUEUED, JobState.RUNNING, JobState.FAILED)
    while any(job.kind in kinds for job in memory.jobs(states=states, limit=1000).items):
        time.sleep(0.1)
    for job in memory.jobs(states=(JobState.DEAD,), limit=1000).items:
        if job.kind in kinds:
            raise ServiceUnavailable(f"the job {job.kind} failed: {job.error}")


def _disk(folder: Path) -> dict[str, int]:
    """Bytes by what they are of; exports of models and logs are not of memories."""
    of: dict[str, int] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).parts[0]
        if path.is_file() and name not in ("models", "ingest", "start", "server.log"):
            kind = "vector index" if name == "chroma" else "SQL"
            of[kind] = of.get(kind, 0) + path.stat().st_size
    return of


def _point(
    size: int,
    found: dict[str, Any],
    walked: dict[str, Any],
    grown: dict[str, float],
    disk: dict[str, int],
) -> dict[str, Any]:
    plain = [row for row in found["rows"] if row["variant"] == UNFILTERED]
    rss = found["rss"]
    return {
        "memories": size,
        "search_ms": report.percentiles([row["search_ms"] for row in plain]),
        "total_ms": report.percentiles([row["total_ms"] for row in plain]),
        "all_channels_ms": report.percentiles([row["search_ms"] for row in walked["rows"]]),
        "first_search_ms": round(found["first_ms"], 1),
        "rss_bytes": rss,
        "rss_bytes_per_memory": round((rss["after"] - rss["model"]) / size),
        "projection_bytes_per_memory": round(found["projection"]["projection_bytes"] / size),
        "disk_bytes": disk,
        "disk_bytes_per_memory": round(sum(disk.values()) / size),
        "add_per_s": round(grown["added"] / grown["add_s"], 1),
        "index_wait_s": round(grown["index_wait_s"], 2),
        "read_wait_s": round(grown["read_wait_s"], 2),
    }


def _metrics(point: dict[str, Any]) -> dict[str, float]:
    """A size's search times under the names that all reports share."""
    return {f"search_{name}": point["search_ms"][name] for name in ("p50", "p95", "p99")}


def _filters(rows: list[dict[str, Any]], size: int) -> dict[str, Any]:
    """Each filter's time beside the unfiltered search of the same queries in the same process."""
    found: dict[str, Any] = {"memories": size}
    for name in FILTERS:
        of = [row for row in rows if row["memories"] == size and row["variant"] == name]
        found[name] = {
            "kept": of[0]["considered"] / size,
            "search_ms": report.percentiles([row["search_ms"] for row in of]),
        }
    base = found[UNFILTERED]["search_ms"]["p50"]
    for name in FILTERS:
        found[name]["p50_ratio"] = round(found[name]["search_ms"]["p50"] / base, 3)
    return found


def _embedding(rows: list[dict[str, Any]], vectors: str) -> dict[str, float] | None:
    """The model's time for one query. Each query comes once per size and the cache may know it
    from another variant, so only first searches count. None for synthetic vectors."""
    if vectors != "real":
        return None
    return report.percentiles([row["embed_ms"] for row in rows if row["variant"] == UNFILTERED])


def _ingest(
    folder: Path, embedder: Embedder, options: argparse.Namespace, talks: Conversations
) -> dict[str, Any]:
    """`add_batch` into an empty cube against bare embedding of the same texts, in turns, so that a
    busy moment hits both alike; each text is embedded once by either, with nothing cached. Facts
    are not read meanwhile: that is done while nothing is asked, so while the model runs bare.
    """
    texts = list(talks.turns(options.ingest))
    size = -(-len(texts) // INGEST_ROUNDS)
    bare = probe.embedder_for(options.vectors, folder)
    bare.embed(["ready"])
    seconds: dict[str, list[float]] = {"embed": [], "add": []}
    cpu = {"embed": 0.0, "add": 0.0}
    with _opened(folder / "ingest", embedder, extraction="none") as memory:
        parts = [texts[start : start + size] for start in range(0, len(texts), size)]
        for number, part in enumerate(parts):
            for what in ("embed", "add") if number % 2 == 0 else ("add", "embed"):
                begun, cpu_begun = time.perf_counter(), time.process_time()
                if what == "embed":
                    bare.embed([turn.content for turn in part])
                else:
                    for _ in memory.add_batch(part, cube=CUBE, batch_size=256):
                        pass
                seconds[what].append(round(time.perf_counter() - begun, 4))
                cpu[what] += time.process_time() - cpu_begun
    embed_s, add_s = sum(seconds["embed"]), sum(seconds["add"])
    return {
        "texts": len(texts),
        "embed_per_s": round(len(texts) / embed_s, 1),
        "add_per_s": round(len(texts) / add_s, 1),
        "share_of_embedder": round(embed_s / add_s, 4),
        "share_by_cpu_time": round(cpu["embed"] / cpu["add"], 4),
        "rounds_s": seconds,
    }


def _cold_starts(
    folder: Path, options: argparse.Namespace, queries: list[str]
) -> list[dict[str, Any]]:
    """From starting the process to the first answered search, on a small cube and, with real
    vectors, on the grown one. The server runs the real model in any case."""
    small = folder / "start"
    real = probe.embedder_for("real", folder)
    # The export is made once per machine; the small data folder gets the same files.
    shutil.copytree(folder / "models", small / "models", copy_function=os.link)
    with _opened(small, real) as memory:
        for _ in memory.add_batch(Conversations(options.seed).turns(1000), cube=CUBE):
            pass
    found = [_cold_start(small, 1000, queries[0])]
    if options.vectors == "real":
        found.append(_cold_start(folder, max(options.sizes), queries[0]))
    return found


def _cold_start(folder: Path, memories: int, query: str) -> dict[str, Any]:
    begun = time.perf_counter()
    with Server(folder) as server:
        while not _ready(server.url):
            if time.perf_counter() - begun > START_LIMIT_S:
                raise ServiceUnavailable(f"memos serve was not ready within {START_LIMIT_S:.0f} s")
            time.sleep(0.01)
        ready = time.perf_counter() - begun
        with server.client() as client:
            hits = client.search(query, cube=CUBE).hits
        first = time.perf_counter() - begun
        server.stop()
    return {
        "memories": memories,
        "ready_s": round(ready, 3),
        "first_search_s": round(first, 3),
        "hits": len(hits),
    }


def _ready(url: str) -> bool:
    import httpx

    return httpx.get(f"{url}/ready", timeout=START_LIMIT_S).status_code == httpx.codes.OK


def _import_ms() -> dict[str, float]:
    """Of `import memos.client` in fresh interpreters, the interpreter's own start apart."""
    code = (
        "import time; begun = time.perf_counter(); import memos.client;"
        " print((time.perf_counter() - begun) * 1000)"
    )
    times = []
    for _ in range(IMPORTS):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        times.append(float(done.stdout))
    return {"median": round(sorted(times)[len(times) // 2], 1), "min": round(min(times), 1)}


if __name__ == "__main__":
    sys.exit(main())
