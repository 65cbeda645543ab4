"""Death in the middle of a write, and erased bytes in the files."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import event

from memos.errors import StorageUnavailable
from memos.graph.deriving.validity import Rules
from memos.protocols import Stores
from memos.storage import open_stores
from memos.types import Cube, JobState, Link
from tests.storage import samples
from tests.storage.samples import Clock, form, memory, new_id

SIZE = 64

WRITER = """
import itertools, sys, time
from datetime import datetime, timezone
from memos.storage import open_stores
from memos.types import NewJob
from memos.graph.deriving.validity import Rules
from tests.storage.samples import form, memory
url, cube_id, name, size = sys.argv[1:]
clock = lambda: datetime.now(timezone.utc)
ids = (f"{name}-{n:09d}" for n in itertools.count())
stores = open_stores(url, new_id=lambda: next(ids), clock=clock, derivation=Rules())
for batch in itertools.count():
    text = f"{name} {batch}"
    items = [memory(clock, cube_id, text, id=next(ids)) for _ in range(int(size))]
    job = NewJob(tenant_id="t1", cube_id=cube_id, kind="index", payload={"batch": text})
    stores.memories.insert(cube_id, items, [form(text)] * len(items), jobs=[job])
    print(batch, flush=True)
"""


def writer(url: str, cube: Cube, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, url, cube.id, name, str(SIZE)],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_killed_writer_leaves_whole_transactions(url: str, stores: Stores, cube: Cube) -> None:
    acknowledged: set[str] = set()
    for round_ in range(4):
        names = [f"{round_}{which}" for which in "ab"]
        processes = [writer(url, cube, name) for name in names]
        heard: dict[str, list[str]] = {name: [] for name in names}

        def listen(process: subprocess.Popen[str], lines: list[str]) -> None:
            assert process.stdout is not None
            for line in process.stdout:
                if line.endswith("\n"):
                    lines.append(line.strip())

        threads = [
            threading.Thread(target=listen, args=(process, heard[name]), daemon=True)
            for process, name in zip(processes, names, strict=True)
        ]
        for thread in threads:
            thread.start()
        # Later each time, so that it dies in another part of the work.
        try:
            while not all(len(lines) > round_ for lines in heard.values()):
                assert all(process.poll() is None for process in processes)
                time.sleep(0.003)
        finally:
            for process in processes:
                process.kill()
        for process, thread in zip(processes, threads, strict=True):
            process.wait()
            thread.join()
            assert process.stdout is not None
            process.stdout.close()
        acknowledged |= {f"{name} {batch}" for name in names for batch in heard[name]}
    found = Counter(item.content for item in stores.memories.page(cube.id, limit=10**6))
    assert acknowledged <= set(found)
    assert set(found.values()) == {SIZE}
    jobs = stores.jobs.page("t1", states=[JobState.QUEUED], limit=10**6)
    assert Counter(job.payload["batch"] for job in jobs) == dict.fromkeys(found, 1)
    changes = stores.feed.changes(cube.id, after=0, limit=10**6)
    assert [row.seq for row in changes] == list(range(1, stores.feed.last(cube.id) + 1))
    assert all(row.vector is not None for row in changes)
    assert stores.health.check(repair=False) == []


def bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def secret(clock: Clock, cube: Cube, number: int) -> samples.Memory:
    return memory(
        clock,
        cube.id,
        f"zxqsecret{number} " * 30,
        speaker=f"zxqsecret{number}",
        metadata={"key": f"zxqsecret{number}"},
        session_id=f"zxqsecret{number}",
    )


@pytest.mark.parametrize("way", ["erase", "delete"])
def test_erased_bytes_are_gone_from_the_files(
    sqlite_url: str, tmp_path: Path, clock: Clock, way: str
) -> None:
    stores = open_stores(sqlite_url, new_id=new_id, clock=clock, derivation=Rules())
    cube = stores.cubes.create(samples.cube(clock))
    made = [secret(clock, cube, n) for n in range(30)]
    stored, _ = stores.memories.insert(cube.id, made, [form(item.content) for item in made])
    target, other = stored[7], stored[8]
    stores.links.put(
        Link(
            id=new_id(), cube_id=cube.id, source_id=target.id, target_id=other.id, relation="r",
            reason="zxqsecret7 said so", created_at=clock(),
        )
    )  # fmt: skip
    target = stores.memories.replace(
        target,
        expected_version=1,
        operation="update",
        actor=None,
        reason="zxqsecret7",
        indexed=None,
    )
    vector = form(made[7].content).vector.tobytes()
    folder = tmp_path / "data"
    assert b"zxqsecret7 " in bytes_of(folder)
    assert vector in bytes_of(folder)
    if way == "erase":
        stores.memories.erase(cube.id, target.id, actor="a", reason=None)
        assert b"zxqsecret8 " in bytes_of(folder)
    else:
        stores.cubes.delete(cube.id)
    left = bytes_of(folder)
    assert b"zxqsecret7 " not in left
    assert b"zxqsecret7" not in left
    assert vector not in left
    stores.health.close()


def test_a_long_read_only_delays_the_cleaning(
    sqlite_url: str, tmp_path: Path, clock: Clock
) -> None:
    stores = open_stores(sqlite_url, new_id=new_id, clock=clock, derivation=Rules())
    cube = stores.cubes.create(samples.cube(clock))
    item = secret(clock, cube, 1)
    stores.memories.insert(cube.id, [item], [form()])
    reader = stores.health._db.engine.raw_connection()
    cursor = reader.cursor()
    cursor.execute("BEGIN")
    cursor.execute("SELECT count(*) FROM memory").fetchone()
    stores.memories.erase(cube.id, item.id, actor=None, reason=None)
    assert b"zxqsecret1" in bytes_of(tmp_path / "data")
    cursor.execute("ROLLBACK")
    cursor.close()
    reader.close()
    stores.jobs.release("nobody")
    assert b"zxqsecret1" not in bytes_of(tmp_path / "data")
    stores.health.close()


@pytest.mark.parametrize("fate", ["moved", "removed", "replaced"])
@pytest.mark.parametrize("connections", ["kept", "new"])
def test_nothing_is_acknowledged_into_a_file_that_is_no_longer_there(
    sqlite_url: str, tmp_path: Path, clock: Clock, fate: str, connections: str
) -> None:
    stores = open_stores(sqlite_url, new_id=new_id, clock=clock, derivation=Rules())
    cube = stores.cubes.create(samples.cube(clock))
    kept = memory(clock, cube.id, "kept")
    stores.memories.insert(cube.id, [kept], [form()])
    if connections == "new":
        stores.health.close()
    file = stores.health._db.path
    assert file is not None
    away = tmp_path / "away.db"
    os.link(file, away)
    file.unlink()
    if fate == "replaced":
        shutil.copy(away, file)
    elif fate == "moved":
        file.mkdir()
    before = sorted(path.name for path in file.parent.iterdir())
    late = memory(clock, cube.id, "late")
    for refused in (
        lambda: stores.memories.insert(cube.id, [late], [form()]),
        lambda: stores.memories.page(cube.id, limit=10),
        stores.health.ping,
        lambda: list(stores.health._db.snapshot().__enter__().exec_driver_sql("SELECT 1")),
    ):
        with pytest.raises(StorageUnavailable, match=str(file)):
            refused()
    # No empty file was made in its place, and no log joined to another file.
    assert sorted(path.name for path in file.parent.iterdir()) == before
    if fate == "moved":
        file.rmdir()
    os.replace(away, file)
    stores.memories.insert(cube.id, [late], [form()])
    found = stores.memories.page(cube.id, limit=10)
    assert sorted(item.content for item in found) == ["kept", "late"]
    assert stores.health.check(repair=False) == []
    stores.health.close()


def test_a_relative_path_is_that_of_the_start(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stores = open_stores("sqlite:///here.db", new_id=new_id, clock=clock, derivation=Rules())
    monkeypatch.chdir("/")
    stores.cubes.create(samples.cube(clock))
    stores.health.close()
    assert (tmp_path / "here.db").stat().st_size > 0


def test_a_file_that_goes_while_a_write_waits_gets_nothing(
    sqlite_url: str, tmp_path: Path, clock: Clock
) -> None:
    stores = open_stores(sqlite_url, new_id=new_id, clock=clock, derivation=Rules())
    cube = stores.cubes.create(samples.cube(clock))
    database = stores.health._db
    assert database.path is not None
    holder = sqlite3.connect(database.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    taken = threading.Event()
    event.listen(database.engine, "checkout", lambda *_: taken.set())
    refusals: list[StorageUnavailable] = []

    def late() -> None:
        try:
            stores.memories.insert(cube.id, [memory(clock, cube.id, "late")], [form()])
        except StorageUnavailable as error:
            refusals.append(error)

    waiting = threading.Thread(target=late)
    waiting.start()
    assert taken.wait(60)
    away = tmp_path / "away.db"
    database.path.rename(away)
    holder.execute("ROLLBACK")
    holder.close()
    waiting.join()
    assert len(refusals) == 1
    away.rename(database.path)
    assert stores.memories.page(cube.id, limit=10) == []
    # The lock that the refused write had taken is free again.
    stores.memories.insert(cube.id, [memory(clock, cube.id, "next")], [form()])
    stores.health.close()
