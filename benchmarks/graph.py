"""Facts by the million: how fast they are recorded, and how fast a view at a time is answered.

Facts come in by the way that `add_facts` takes: a memory each, then a reading in batches. Then
entities are asked for their surroundings as of a time, hubs among them. Beside it stands what one
would otherwise write: everything in one networkx graph, filtered in Python. The facts are made up
(temporal/facts.py); it measures time and space, no quality.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memos.benchmarks import report
from memos.benchmarks.service.postgres import postgres
from memos.benchmarks.temporal import networkx_baseline, rendering
from memos.benchmarks.temporal.facts import BEGIN, DAYS, PREDICATES, Facts
from memos.benchmarks.temporal.loader import Loader
from memos.errors import InvalidInput, MemosError

if TYPE_CHECKING:
    from memos.protocols import Stores

WARM_UP = 20
LIMIT = 1000
PAGE = 50
KEPT = "loaded.json"
PARTS = ("projection", "networkx")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, writes the report and prints it."""
    options = _options(argv)
    environment = report.environment(seed=options.seed)
    try:
        with _database(options) as (url, folder):
            data, rows = run(url, folder, options)
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
    parser = argparse.ArgumentParser(prog="memos bench graph", description=__doc__)
    add = parser.add_argument
    add("--facts", type=int, default=1_000_000)
    add("--queries", type=int, default=400, help="entities that are asked for")
    add("--batch", type=int, default=5_000, help="facts recorded at once")
    add("--database", choices=("postgresql", "sqlite"), default="postgresql")
    add("--seed", type=int, default=0, help="of the facts and the questions")
    add("--parts", nargs="*", choices=PARTS, default=PARTS, help="beside recording and questions")
    add(
        "--keep",
        type=Path,
        help="folder where the database stays, and is taken from if it is there",
    )
    add("--out", type=Path, help="folder for report.json, report.md and raw rows")
    return parser.parse_args(argv)


@contextmanager
def _database(options: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """Its URL and the folder it is in; both are gone afterwards, unless they are to be kept."""
    # A short path that others may enter: a socket has at most 107 bytes, and as root the server
    # runs as another user.
    folder = options.keep or Path(tempfile.mkdtemp(prefix="memos-graph-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    try:
        if options.database == "sqlite":
            yield f"sqlite:///{folder / 'memos.db'}", folder
            return
        with postgres(folder / "data") as url:
            yield url, folder
    finally:
        if options.keep is None:
            shutil.rmtree(folder)


def run(
    url: str, folder: Path, options: argparse.Namespace
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The report's data and the raw rows of every question."""
    from memos.graph.deriving.validity import Rules
    from memos.identity import UlidMaker, utc_now
    from memos.storage import open_stores

    facts = Facts(options.facts, options.seed)
    new_id = UlidMaker()
    stores = open_stores(
        url, new_id=new_id, clock=utc_now, derivation=Rules(), statement_timeout=600
    )
    try:
        loader, load = _loaded(stores, facts, new_id, folder, options)
        questions = _questions(facts, options)
        _say(f"asking {len(questions)} questions of each kind")
        rows = _ask(stores, loader, questions)
        hub = stores.graph.entities(loader.cube.id, [loader.entity_id(0)])[0].facts
        projection = None
        if "projection" in options.parts:
            _say("loading the graph into RAM")
            projection = networkx_baseline.apart(
                "memos.benchmarks.temporal.probe", {"url": url, "cube": loader.cube.id}
            )
    finally:
        stores.health.close()
    plain = None
    if "networkx" in options.parts:
        _say("the same with networkx")
        asked = [(entity, name, at.isoformat()) for entity, name, at in questions]
        plain = networkx_baseline.measure(
            {"facts": facts.count, "seed": options.seed, "queries": asked, "limit": LIMIT}
        )
    data: dict[str, Any] = {
        "facts": facts.count,
        "entities": facts.entities,
        "database": options.database,
        "queries": len(questions),
        "hub_facts": hub,
        "unit": "ms",
        "ms": {
            kind: report.percentiles([row["ms"] for row in rows if row["question"] == kind])
            for kind in rendering.ASKED
        },
        "load": load,
        "networkx": plain,
        "projection": projection,
    }
    data["targets"] = rendering.targets(data)
    return data, rows


def _loaded(
    stores: Stores,
    facts: Facts,
    new_id: Callable[[], str],
    folder: Path,
    options: argparse.Namespace,
) -> tuple[Loader, dict[str, Any]]:
    """Records the facts, or takes those that a former run has kept."""
    note = folder / KEPT
    asked = {"facts": facts.count, "seed": options.seed, "database": options.database}
    if note.exists():
        kept = json.loads(note.read_text())
        if kept["asked"] != asked:
            raise InvalidInput(
                f"{folder} keeps {kept['asked']}, not {asked}; give another folder",
                field="keep",
            )
        _say(f"taking {facts.count:,} facts from {folder}")
        return Loader(stores, facts, new_id, kept=kept), kept["load"]
    loader = Loader(stores, facts, new_id)
    _say(f"recording {facts.count:,} facts")
    load = loader.load(options.batch)
    load["disk_bytes_per_fact"] = round(_bytes(folder) / facts.count)
    if options.keep is not None:
        note.write_text(json.dumps({"asked": asked, "load": load, **loader.keep()}))
    return loader, load


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


_Question = tuple[int, str, datetime]


def _questions(facts: Facts, options: argparse.Namespace) -> list[_Question]:
    chance = np.random.default_rng(options.seed + 1)
    found = []
    for entity in facts.asked(options.queries, options.seed + 2):
        name = PREDICATES[int(chance.integers(len(PREDICATES)))]
        at = BEGIN + timedelta(days=float(chance.random()) * DAYS)
        found.append((entity, name, at))
    return found


def _ask(stores: Stores, loader: Loader, questions: Sequence[_Question]) -> list[dict[str, Any]]:
    graph, cube = stores.graph, loader.cube.id
    rows = []
    warm_up = questions[:WARM_UP]
    for number, (entity, name, at) in enumerate([*warm_up, *questions]):
        id = loader.entity_id(entity)
        near = partial(graph.around, cube, [id], as_of=at, limit=LIMIT)
        kinds: dict[str, Callable[[], Sequence[Any]]] = {
            "hop1": partial(near, hops=1),
            "hop2": partial(near, hops=2),
            "hop2_known": partial(near, hops=2, known_as_of=loader.between),
            "triple": partial(
                graph.facts, cube, subjects=[id], predicates=[name], as_of=at, limit=PAGE
            ),
        }
        for kind, ask in kinds.items():
            begun = time.perf_counter()
            answer = ask()
            ms = (time.perf_counter() - begun) * 1000
            if number >= len(warm_up):
                rows.append(
                    {"question": kind, "entity": entity, "ms": round(ms, 3), "facts": len(answer)}
                )
    return rows


if __name__ == "__main__":
    sys.exit(main())
