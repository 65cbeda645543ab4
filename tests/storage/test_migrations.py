"""Opening: schema versions, processes that start together, databases that are not ours."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from memos.errors import InvalidSetting, SchemaMismatch
from memos.graph.deriving.validity import Rules
from memos.protocols import Stores
from memos.storage import migrations, open_stores
from memos.storage.engine import Database
from memos.storage.tables import metadata
from tests.sqlite import _copied
from tests.storage import samples
from tests.storage.graph_world import Saying, World, day
from tests.storage.samples import Clock, new_id

pytestmark = pytest.mark.usefixtures("migrated_really")

OPEN = """
import sys
from datetime import datetime, timezone
from memos.storage import open_stores
from memos.graph.deriving.validity import Rules
clock = lambda: datetime.now(timezone.utc)
stores = open_stores(sys.argv[1], new_id=lambda: "x", clock=clock, derivation=Rules())
print(stores.keys.any(), "alembic" in sys.modules)
stores.health.close()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Of a database without tables."""
    name = "sqlite_url" if request.param == "sqlite" else "empty_postgres_url"
    return str(request.getfixturevalue(name))


def opened(url: str) -> Stores:
    return open_stores(url, new_id=new_id, clock=Clock(), derivation=Rules())


def start(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OPEN, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_the_migrated_schema_is_the_one_of_the_tables(url: str, stores: Stores) -> None:
    database = Database(url)
    with database.read() as connection:
        options = {"version_table": migrations.VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        assert migrations.revision(connection) == migrations.HEAD
    database.close()


def test_what_other_tests_are_given_is_what_the_migrations_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def content(file: Path) -> list[str]:
        opened(f"sqlite:///{file}").health.close()
        with closing(sqlite3.connect(file)) as connection:
            return list(connection.iterdump())

    made = content(tmp_path / "made.db")
    monkeypatch.setattr(migrations, "_upgrade", _copied)
    assert content(tmp_path / "copied.db") == made


def test_head_is_the_newest_migration(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with database.read() as connection:
        scripts = ScriptDirectory.from_config(migrations.config(connection))
    assert scripts.get_heads() == [migrations.HEAD]
    names = sorted(Path(script.path).name for script in scripts.walk_revisions())
    assert [name[:4] for name in names] == [f"{n:04d}" for n in range(1, len(names) + 1)]
    database.close()


def test_processes_may_start_together(url: str) -> None:
    ready = "import sys, alembic.command, memos.storage.engine\nprint('ready', flush=True)\ninput()"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", ready + OPEN, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
        assert out.startswith("False")


def test_a_current_database_opens_without_alembic(url: str, stores: Stores) -> None:
    out, err = start(url).communicate(timeout=120)
    assert (out.strip(), err) == ("False False", "")


def test_what_was_written_is_there_after_reopening(url: str, clock: Clock) -> None:
    stores = opened(url)
    made = stores.cubes.create(samples.cube(clock))
    stores.health.close()
    again = opened(url)
    assert again.cubes.get("t1", made.id) == made
    again.health.close()


@pytest.mark.parametrize("version", ["0000", "9999"])
def test_an_unknown_version_is_refused_and_left_alone(
    url: str, stores: Stores, version: str
) -> None:
    database = Database(url)
    with database.write() as connection:
        connection.execute(text(f"UPDATE memos_schema SET version_num = '{version}'"))
    with pytest.raises(SchemaMismatch, match=f"{version}.*upgrade memos"):
        opened(url)
    with database.read() as connection:
        assert migrations.revision(connection) == version
    database.close()


def test_a_database_of_something_else_is_refused(url: str) -> None:
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE memory (note TEXT)"))
    with pytest.raises(SchemaMismatch, match="memory"):
        opened(url)
    with database.write() as connection:
        connection.execute(text("DROP TABLE memory"))
        connection.execute(text("CREATE TABLE somebody_elses (note TEXT)"))
    database.close()
    opened(url).health.close()


def test_a_migration_that_fails_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import command

    upgrade = command.upgrade

    def fail(*arguments: object) -> None:
        upgrade(*arguments)
        raise RuntimeError("the power went")

    monkeypatch.setattr(command, "upgrade", fail)
    with pytest.raises(RuntimeError):
        opened(url)
    monkeypatch.undo()
    database = Database(url)
    with database.read() as connection:
        assert migrations.revision(connection) is None
    database.close()
    opened(url).health.close()


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        stores = opened(f"sqlite:///{tmp_path}/new/memos.db")
        stores.cubes.create(samples.cube(Clock()))
        for file in (tmp_path / "new").iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
        stores.health.close()
    finally:
        os.umask(mask)


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:", "postgresql://x:y:z/"]
)
def test_an_url_that_cannot_be_used(url: str) -> None:
    with pytest.raises(InvalidSetting, match="database_url"):
        opened(url)


def test_memories_of_the_first_schema_get_a_graph(url: str, clock: Clock) -> None:
    database = Database(url)
    with database.write() as connection:
        upgrade_to(connection, "0001")
        for statement in FIRST_DATA:
            connection.execute(text(statement))
    with database.read() as connection:
        assert migrations.revision(connection) == "0001"
    database.close()
    stores = opened(url)
    (cube,) = stores.cubes.page("t1", after=None, limit=9)
    (item,) = stores.memories.page(cube.id, limit=9)
    assert (item.content, item.version) == ("Anna lives in Rome", 1)
    assert (stores.graph.last(cube.id), stores.graph.size(cube.id)) == (0, (0, 0))
    assert stores.graph.unread(cube.id, "test-1", limit=9) == [item]
    world = World(stores, cube, clock)
    world.read([(item, [Saying("Anna", "lives_in", "Rome", day(0))])])
    assert [fact.subject.name for fact in world.facts()] == ["Anna"]
    world.erase(item)
    assert world.facts() == []
    assert stores.health.check(repair=False) == []
    stores.health.close()


def upgrade_to(connection: Connection, revision: str) -> None:
    from alembic import command

    command.upgrade(migrations.config(connection), revision)


# As version 0001 wrote it.
FIRST_DATA = (
    "INSERT INTO tenant (id, created_at) VALUES ('t1', 1)",
    "INSERT INTO cube (id, tenant_id, name, description, metadata, change_seq, created_at)"
    " VALUES ('c1', 't1', 'default', '', '{}', 1, 1700000000000000)",
    "INSERT INTO memory (cube_id, id, seq, position, version, state, kind, created_at,"
    " updated_at, priority, metadata, images, provenance, content) VALUES ('c1', 'm1', 1, 1, 1,"
    " 'activated', 'episodic', 1700000000000000, 1700000000000000, 0.5, '{}', '[]',"
    """ '{"source":"api"}', 'Anna lives in Rome')""",
    "INSERT INTO memory_version (cube_id, memory_id, version, operation, changed_at)"
    " VALUES ('c1', 'm1', 1, 'add', 1700000000000000)",
)
