"""`kill -9` of a real server in the middle of concurrent bulk adds, again and again.

After each kill the files are inspected as they were left, the server is started on them again, and
every memory that it had acknowledged must be there by `get` and by `search`; what it had not
acknowledged must be there whole or not at all. Exit code 1 if anything is lost or half-written.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memos.benchmarks import report
from memos.benchmarks.service.crash_load import CUBES, MODES, Ledger, Load, Unit, content_of
from memos.benchmarks.service.server_process import Server
from memos.errors import MemosError, NotFound

if TYPE_CHECKING:
    from memos.client import Client
    from memos.protocols import Embedder

NAME = "Crash: kill -9 during bulk adds"
_LONGEST_LOAD = 1.5

# Written in SQL of its own, so that the service's checks are not their own judge.
_HALF_WRITTEN = {
    "memories without their version in the history": """
        SELECT count(*) FROM memory m WHERE NOT EXISTS (SELECT 1 FROM memory_version v
        WHERE v.cube_id = m.cube_id AND v.memory_id = m.id AND v.version = m.version)""",
    "memories without terms": """
        SELECT count(*) FROM memory m WHERE NOT EXISTS (SELECT 1 FROM indexed i
        WHERE i.cube_id = m.cube_id AND i.memory_id = m.id AND i.version = m.version
        AND i.terms IS NOT NULL)""",
    "memories without a vector": """
        SELECT count(*) FROM memory m WHERE NOT EXISTS (SELECT 1 FROM indexed i
        WHERE i.cube_id = m.cube_id AND i.memory_id = m.id AND i.version = m.version
        AND length(i.vector) > 0)""",
    "history of memories that are not there": """
        SELECT count(*) FROM memory_version v WHERE NOT EXISTS (SELECT 1 FROM memory m
        WHERE m.cube_id = v.cube_id AND m.id = v.memory_id)""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One kill and what was found after it. Counts are of memories, but for `findings`."""

    number: int
    load_s: float
    restart_s: float
    sent: int
    acknowledged: int
    stored: int
    lost_to_get: int
    lost_to_search: int
    half_written: int
    findings: tuple[str, ...]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, writes the report and prints it."""
    options = _options(argv)
    environment = report.environment(seed=options.seed)
    try:
        if options.data_dir is None:
            with tempfile.TemporaryDirectory(prefix="memos-crash-") as folder:
                rounds = run(Path(folder), kills=options.kills, seed=options.seed)
        else:
            rounds = run(options.data_dir, kills=options.kills, seed=options.seed)
    except MemosError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    data = summarise(rounds)
    _show(data)
    if options.out is not None:
        print(f"report: {_write(data, rounds, environment, options.out)}")
    return 0 if data["passed"] else 1


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="memos bench crash", description=__doc__)
    add = parser.add_argument
    add("--kills", type=int, default=20, help="how often the server is killed")
    add("--out", type=Path, help="folder for report.json, report.md and raw rows")
    add("--seed", type=int, default=0, help="of the times of the kills and the phrases")
    add("--data-dir", type=Path, help="an empty folder to keep; default: a temporary one")
    return parser.parse_args(argv)


def run(folder: Path, *, kills: int, seed: int) -> list[Round]:
    """`kills` rounds over one data folder, and a last check of everything at the end."""
    from memos import assembly, config

    embedder = assembly.make_embedder(config.load(data_dir=folder))
    chance = random.Random(seed)
    ledger = Ledger()
    rounds: list[Round] = []
    server = Server(folder)
    try:
        with server.client() as client:
            for cube in CUBES:
                client.create_cube(cube)
        for number in range(1, kills + 1):
            before = len(ledger.units)
            load_s = _load_and_kill(server, ledger, chance, seed=seed * 1000 + number)
            findings = [*inspect(folder, embedder), *ledger.faults]
            ledger.faults.clear()
            server = Server(folder)
            with server.client() as client:
                found = check(client, ledger.units[before:], ledger)
            rounds.append(
                Round(
                    number=number,
                    load_s=load_s,
                    restart_s=server.seconds,
                    findings=tuple(findings),
                    **found,
                )
            )
            print(_line(rounds[-1]), file=sys.stderr)
        with server.client() as client:
            rounds.append(_last_round(client, ledger, server))
        server.stop()
    finally:
        server.__exit__()
    return rounds


def _load_and_kill(server: Server, ledger: Ledger, chance: random.Random, *, seed: int) -> float:
    """Kills at a random moment after every mode has had an acknowledgement; seconds of load."""
    load = Load(server, ledger, seed=seed)
    start = time.perf_counter()
    load.start()
    load.wait_for_every_mode()
    time.sleep(chance.uniform(0, _LONGEST_LOAD))
    server.kill()
    load.join()
    return time.perf_counter() - start


def inspect(folder: Path, embedder: Embedder) -> list[str]:
    """What is wrong with the files as the dead server left them: SQL of our own, then doctor."""
    from memos import assembly, config
    from memos.service import DEFAULT_TENANT

    found = []
    with closing(sqlite3.connect(folder / "memos.db")) as database:
        for problem, query in _HALF_WRITTEN.items():
            if count := database.execute(query).fetchone()[0]:
                found.append(f"{count} {problem}")
    service = assembly.build(config.load(data_dir=folder), embedder=embedder)
    try:
        for finding in service.tenant(DEFAULT_TENANT).doctor():
            found.append(f"doctor: {finding.check}: {finding.problem} ({finding.count})")
    finally:
        service.close()
    return found


def check(client: Client, units: Iterable[Unit], ledger: Ledger) -> dict[str, int]:
    """Counts over `units`: memories sent, acknowledged, stored, lost, and half-written: of a unit
    that is there in part, or with a content that nobody sent."""
    stored = {cube: _stored(client, cube) for cube in CUBES}
    sent = {content_of(phrase) for unit in ledger.units for phrase in unit.phrases}
    counts: Counter[str] = Counter()
    counts["half_written"] = sum(len(contents - sent) for contents in stored.values())
    for unit in units:
        present = [phrase for phrase in unit.phrases if content_of(phrase) in stored[unit.cube]]
        counts["sent"] += len(unit.phrases)
        counts["stored"] += len(present)
        if present and len(present) < len(unit.phrases):
            counts["half_written"] += len(present)
        for phrase, identity in zip(unit.phrases, unit.ids, strict=False):
            counts["acknowledged"] += 1
            counts["lost_to_get"] += not _got(client, unit.cube, phrase, identity)
            counts["lost_to_search"] += not _searched(client, unit.cube, phrase, identity)
    names = ("sent", "acknowledged", "stored", "lost_to_get", "lost_to_search", "half_written")
    return {name: counts[name] for name in names}


def _stored(client: Client, cube: str) -> set[str]:
    """The contents of all of a cube's memories."""
    contents: set[str] = set()
    cursor: str | None = None
    while True:
        page = client.memories(cube=cube, cursor=cursor, limit=1000)
        contents.update(memory.content for memory in page.items)
        cursor = page.next_cursor
        if cursor is None:
            return contents


def _got(client: Client, cube: str, phrase: str, identity: str) -> bool:
    try:
        memory = client.get(identity, cube=cube)
    except NotFound:
        return False
    return memory.content == content_of(phrase) and memory.version == 1


def _searched(client: Client, cube: str, phrase: str, identity: str) -> bool:
    found = client.search(f'"{phrase}"', cube=cube, limit=3)
    return identity in {hit.memory.id for hit in found.hits}


def _last_round(client: Client, ledger: Ledger, server: Server) -> Round:
    """Everything acknowledged in any round must have outlived all the later kills."""
    return Round(
        number=0,
        load_s=0.0,
        restart_s=server.seconds,
        findings=tuple(ledger.faults),
        **check(client, ledger.units, ledger),
    )


def summarise(rounds: Sequence[Round]) -> dict[str, Any]:
    """The fields of report.json. The last of `rounds` is the check of everything."""
    kills, last = rounds[:-1], rounds[-1]
    totals: dict[str, Any] = {
        "kills": len(kills),
        "sent": last.sent,
        "acknowledged": last.acknowledged,
        "stored": last.stored,
        "stored_unacknowledged": last.stored - last.acknowledged,
        "lost_to_get": sum(each.lost_to_get for each in rounds),
        "lost_to_search": sum(each.lost_to_search for each in rounds),
        "half_written": sum(each.half_written for each in rounds),
        "findings": sum(len(each.findings) for each in rounds),
    }
    bad = ("lost_to_get", "lost_to_search", "half_written", "findings")
    return {
        "systems": {"memos": {"all": totals}},
        "unit": "count",
        "passed": not any(totals[name] for name in bad) and totals["acknowledged"] > 0,
        "restart_s": report.percentiles([each.restart_s for each in kills]),
        "modes": list(MODES),
    }


def _line(one: Round) -> str:
    return (
        f"kill {one.number}: {one.acknowledged} of {one.sent} acknowledged, {one.stored} stored, "
        f"lost {one.lost_to_get} to get, {one.lost_to_search} to search, half-written "
        f"{one.half_written}, up again in {one.restart_s:.1f} s"
        + "".join(f"; {finding}" for finding in one.findings)
    )


def _show(data: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("count", "memories", title=NAME, title_justify="left")
    for name, value in data["systems"]["memos"]["all"].items():
        table.add_row(name.replace("_", " "), f"{value:,}")
    Console().print(table)
    print("passed" if data["passed"] else "FAILED")


def _write(
    data: Mapping[str, Any], rounds: Sequence[Round], environment: Mapping[str, Any], out: Path
) -> Path:
    totals = data["systems"]["memos"]["all"]
    restart = data["restart_s"]
    text = (
        "Six threads add to two cubes over HTTP (single adds, batches of 32, NDJSON streams in "
        "parts of 64) until the server is killed at a random moment. Then the database is "
        "inspected as it was left, the server starts again, and every acknowledged memory is "
        "asked for by id and by its own phrase. After the last kill all are asked for once more. "
        "Sent but not acknowledged may be stored, but only whole.\n\n"
        + report.table(["count", "memories"], [[k.replace("_", " "), v] for k, v in totals.items()])
        + f"\n\nStart to first answer: p50 {restart['p50']:.2f} s, p95 {restart['p95']:.2f} s.\n\n"
        + ("**Passed.**" if data["passed"] else "**Failed.**")
    )
    rows = {"rounds": [asdict(each) for each in rounds]}
    return report.write_report(out, NAME, data, text, environment=environment, rows=rows)


if __name__ == "__main__":
    raise SystemExit(main())
