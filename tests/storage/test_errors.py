"""What goes wrong with a real database leaves as a MemosError that says what to do."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from memos.errors import (
    InvalidInput,
    MissingDependency,
    SchemaMismatch,
    StorageCorrupt,
    StorageError,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)
from memos.graph.deriving.validity import Rules
from memos.protocols import Stores
from memos.storage import engine, open_stores
from memos.storage.engine import Database
from memos.storage.errors import translated
from memos.types import Cube
from tests.storage import samples
from tests.storage.samples import Clock, form, memory, new_id


def opened(url: str, **settings: float) -> Stores:
    return open_stores(url, new_id=new_id, clock=Clock(), derivation=Rules(), **settings)


@pytest.fixture
def file(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture
def filled(sqlite_url: str, clock: Clock) -> Cube:
    """A database with some pages in it, closed."""
    stores = opened(sqlite_url)
    cube = stores.cubes.create(samples.cube(clock))
    made = [memory(clock, cube.id, f"text {n} " * 50) for n in range(300)]
    stores.memories.insert(cube.id, made, [form(item.content) for item in made])
    stores.health.close()
    return cube


def read_all(url: str, cube: Cube) -> None:
    stores = opened(url)
    try:
        stores.memories.page(cube.id, limit=999)
        stores.feed.changes(cube.id, after=0)
    finally:
        stores.health.close()


def test_a_file_that_is_no_database(file: Path, sqlite_url: str) -> None:
    file.parent.mkdir()
    file.write_bytes(b"these are no pages of a database" * 500)
    with pytest.raises(StorageCorrupt, match="memos doctor") as caught:
        opened(sqlite_url)
    assert str(file) in caught.value.message
    assert isinstance(caught.value.__cause__, Exception)
    assert file.read_bytes() == b"these are no pages of a database" * 500


def test_overwritten_pages(file: Path, sqlite_url: str, filled: Cube) -> None:
    data = bytearray(file.read_bytes())
    data[8 * 4096 :] = random.Random(1).randbytes(len(data) - 8 * 4096)
    file.write_bytes(data)
    with pytest.raises(StorageCorrupt, match="backup"):
        read_all(sqlite_url, filled)


def test_a_damaged_index_is_found_and_rebuilt(file: Path, sqlite_url: str, filled: Cube) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        (sql,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'ix_memory_position'"
        ).fetchone()
        # The index's rows no longer stand for the columns it says.
        connection.execute(
            "UPDATE sqlite_master SET sql = ? WHERE name = 'ix_memory_position'",
            (sql.replace("position)", "seq + position)"),),
        )
    connection.close()
    stores = opened(sqlite_url)
    found = stores.health.check(repair=False)
    assert {finding.check for finding in found} == {"database file"}
    assert not any(finding.repaired for finding in found)
    assert all(finding.repaired for finding in stores.health.check(repair=True))
    assert stores.health.check(repair=False) == []
    assert len(stores.memories.page(filled.id, limit=999)) == 300
    stores.health.close()


def test_a_truncated_file(file: Path, sqlite_url: str, filled: Cube) -> None:
    os.truncate(file, 20 * 4096)
    with pytest.raises(StorageCorrupt):
        read_all(sqlite_url, filled)


def test_another_process_holds_the_database(sqlite_url: str, file: Path, filled: Cube) -> None:
    stores = opened(sqlite_url, lock_timeout=0.2)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable, match=r"locked.*try again"):
        stores.cubes.create(samples.cube(Clock(), name="x"))
    with pytest.raises(StorageUnavailable):
        stores.health.ping()
    assert stores.cubes.get("t1", filled.id) == filled
    other.execute("ROLLBACK")
    other.close()
    stores.cubes.create(samples.cube(Clock(), name="x"))
    stores.health.close()


def test_a_thread_of_this_process_holds_the_write(sqlite_url: str) -> None:
    database = Database(sqlite_url, lock_timeout=0.2)
    with (
        database.write(),
        pytest.raises(StorageUnavailable, match=r"0\.2 s"),
        database.write(),
    ):
        pass
    database.close()


def test_the_database_is_full(sqlite_url: str, clock: Clock, filled: Cube) -> None:
    stores = opened(sqlite_url)
    database = stores.health._db
    with database.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    before = stores.feed.last(filled.id)
    big = [memory(clock, filled.id, "x" * 10_000) for _ in range(50)]
    with pytest.raises(StorageFull, match="free some space"):
        stores.memories.insert(filled.id, big, [form()] * 50)
    assert stores.feed.last(filled.id) == before
    assert stores.health.check(repair=False) == []
    stores.health.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes; in a mount namespace of its own where it can't be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no right to mount a small file system: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_the_disk_is_full(small_disk: Path, clock: Clock) -> None:
    url = f"sqlite:///{small_disk}/memos.db"
    stores = opened(url)
    cube = stores.cubes.create(samples.cube(clock))
    kept: list[str] = []

    def fill() -> None:
        for n in range(400):
            item = memory(clock, cube.id, f"{n} " * 5000)
            stores.memories.insert(cube.id, [item], [form()])
            kept.append(item.id)

    with pytest.raises(StorageFull):
        fill()
    assert kept
    assert set(stores.memories.get(cube.id, kept)) == set(kept)
    assert stores.feed.last(cube.id) == len(kept)
    assert stores.health.check(repair=False) == []
    stores.health.close()


def test_a_read_only_file(sqlite_url: str, file: Path, filled: Cube) -> None:
    with pytest.raises(StorageReadOnly):
        opened(f"sqlite:///file:{file}?mode=ro&uri=true").cubes.create(
            samples.cube(Clock(), name="x")
        )


def test_no_permission(tmp_path: Path, file: Path, sqlite_url: str, filled: Cube) -> None:
    """Root may do all, so another user tries."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    tmp_path.parent.parent.chmod(0o755)
    code = (
        "import gzip, os, sys\n"
        "from datetime import datetime\n"
        "from memos.storage import open_stores\n"
        "import memos.storage.engine, memos.storage.health, memos.storage.memories.store\n"
        "from memos.graph.deriving.validity import Rules\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try:\n"
        "    open_stores(sys.argv[1], new_id=lambda: 'x', clock=datetime.now,\n"
        "        derivation=Rules())\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    for url in (sqlite_url, f"sqlite:///{file.parent}/new/memos.db"):
        done = subprocess.run(
            [sys.executable, "-c", code, url], capture_output=True, text=True, timeout=120
        )
        assert done.stdout.startswith("StorageReadOnly"), done.stdout + done.stderr
        assert "permission" in done.stdout


def test_a_folder_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    with pytest.raises(StorageUnavailable, match="data_dir"):
        opened(f"sqlite:///{tmp_path}/plain/memos.db")


def test_the_path_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable):
        opened(f"sqlite:///{tmp_path}")


def test_missing_tables(url: str, stores: Stores) -> None:
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("DROP TABLE receipt"))
    with pytest.raises(SchemaMismatch):
        stores.receipts.find("t1", "k")
    database.close()


def test_no_server() -> None:
    with pytest.raises(StorageUnavailable, match="server"):
        opened("postgresql://nobody@127.0.0.1:1/nothing")


def test_no_such_database(postgres_url: str) -> None:
    with pytest.raises(StorageUnavailable, match="create the database"):
        opened(postgres_url.replace("/test_", "/absent_"))


def test_the_password_is_not_in_messages() -> None:
    with pytest.raises(StorageUnavailable) as caught:
        opened("postgresql://nobody:hunter2@127.0.0.1:1/nothing")
    assert "hunter2" not in caught.value.message


def test_a_server_that_ends_the_connection(
    postgres_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is used: one that lies idle is looked at before, and replaced."""
    monkeypatch.setattr(engine, "_IDLE", float("inf"))
    stores = opened(postgres_url)
    cube = stores.cubes.create(samples.cube(clock))
    end = (
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        ended = connection.execute(end).fetchall()
    assert ended
    assert all(gone for (gone,) in ended)
    with pytest.raises(StorageUnavailable, match="try again"):
        stores.feed.last(cube.id)
    assert stores.feed.last(cube.id) == 0
    stores.health.close()


def test_a_statement_that_takes_too_long(postgres_url: str) -> None:
    database = Database(postgres_url, statement_timeout=0.1)
    with (
        pytest.raises(StorageUnavailable, match="cancelled"),
        database.read() as connection,
    ):
        connection.execute(text("SELECT pg_sleep(60)"))
    database.close()


def test_a_locked_row_is_not_waited_for_long(postgres_url: str, clock: Clock) -> None:
    stores = opened(postgres_url, lock_timeout=0.2)
    cube = stores.cubes.create(samples.cube(clock))
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("SELECT 1 FROM cube FOR UPDATE")
        with pytest.raises(StorageUnavailable, match="try again"):
            stores.memories.insert(cube.id, [memory(clock, cube.id)], [form()])
        connection.rollback()
    stores.memories.insert(cube.id, [memory(clock, cube.id)], [form()])
    stores.health.close()


def test_without_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingDependency, match="postgres"):
        opened("postgresql://x/y")


def test_what_no_table_knows_is_still_ours() -> None:
    with pytest.raises(StorageError, match=r"here.*something new"), translated("here"):
        raise sqlite3.OperationalError("something new")
    with pytest.raises(InvalidInput), translated("here"):
        "\ud800".encode()
