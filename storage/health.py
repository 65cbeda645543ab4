"""The state of the database itself: whether it answers, and whether it is whole.

Knows what must hold between rows; the derived indexes outside SQL are checked elsewhere.
"""

from __future__ import annotations

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    exists,
    func,
    select,
    true,
    tuple_,
    update,
)

from memos.errors import StorageReadOnly
from memos.protocols import Clock
from memos.storage.engine import Database
from memos.storage.graph import health as graph
from memos.storage.graph.deriving import Deriver
from memos.storage.records import micros
from memos.storage.tables import (
    artifact,
    artifact_source,
    assertion,
    cube,
    indexed,
    lineage,
    link,
    memory,
    memory_use,
    memory_version,
    mention,
    note,
    reading,
    removed_link,
    summary_source,
)
from memos.types import Finding, State

ORPHANS = {
    "history": (memory_version, memory_version.c.memory_id),
    "indexed forms": (indexed, indexed.c.memory_id),
    "links": (link, link.c.source_id),
    "link ends": (link, link.c.target_id),
    "removed links": (removed_link, removed_link.c.source_id),
    "removed links' ends": (removed_link, removed_link.c.target_id),
    "assertions": (assertion, assertion.c.memory_id),
    "mentions": (mention, mention.c.memory_id),
    "readings": (reading, reading.c.memory_id),
    "notes": (note, note.c.memory_id),
    "lineage": (lineage, lineage.c.derived_id),
    "sources of lineage": (lineage, lineage.c.source_id),
    "uses": (memory_use, memory_use.c.memory_id),
    "sources of summaries": (summary_source, summary_source.c.memory_id),
}


class SqlStoreHealth:
    """`memos.protocols.StoreHealth`."""

    def __init__(self, database: Database, *, deriver: Deriver, clock: Clock) -> None:
        self._db = database
        self._deriver = deriver
        self._clock = clock

    def ping(self) -> None:
        with self._db.write() as connection:
            # On SQLite taking the write lock is the proof; a standby of PostgreSQL has to be asked.
            connection.execute(select(cube.c.id).limit(1)).first()
            if (
                not self._db.is_sqlite
                and connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "on"
            ):
                raise StorageReadOnly(
                    f"{self._db.place}: the server accepts no writes (a standby?);"
                    " connect to the primary"
                )

    def check(self, *, repair: bool) -> list[Finding]:
        found: list[Finding] = []
        if self._db.is_sqlite:
            found += self._check_file(repair=repair)
        with self._db.write() as connection:
            if not self._db.is_sqlite:
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            found += _check_orphans(connection, repair=repair)
            found += _check_artifacts(connection, repair=repair)
            found += _check_counters(connection, repair=repair)
            found += _check_history(connection)
            found += _check_erased(connection, repair=repair)
            now = micros(self._clock())
            found += graph.check(connection, self._deriver, now=now, repair=repair)
        return found

    def close(self) -> None:
        self._db.close()

    def _check_file(self, *, repair: bool) -> list[Finding]:
        problems = self._integrity()
        if problems and repair:
            with self._db.write() as connection:
                connection.exec_driver_sql("REINDEX")
            left = self._integrity()
        else:
            left = problems
        mended = len(problems) > 0 and not left
        return [
            Finding(check="database file", cube_id=None, problem=problem, count=1, repaired=mended)
            for problem in (problems if mended else left)
        ]

    def _integrity(self) -> list[str]:
        with self._db.read() as connection:
            rows = connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars().all()
        return [row for row in rows if row != "ok"]


def _check_orphans(connection: Connection, *, repair: bool) -> list[Finding]:
    found = []
    for name, (table, end) in ORPHANS.items():
        parent = exists().where(memory.c.cube_id == table.c.cube_id, memory.c.id == end)
        lost = connection.execute(
            select(table.c.cube_id, func.count()).where(~parent).group_by(table.c.cube_id)
        ).all()
        if lost and repair:
            connection.execute(delete(table).where(~parent))
        found += [
            Finding(
                check="orphans",
                cube_id=cube_id,
                problem=f"{name} of memories that are not there",
                count=count,
                repaired=repair,
            )
            for cube_id, count in lost
        ]
    return found


def _check_artifacts(connection: Connection, *, repair: bool) -> list[Finding]:
    """A source that is no longer there is in order: the artifact says so. One of no artifact, or an
    artifact of no cube, is not."""
    sources = artifact_source.c
    lost = {
        "sources of artifacts that are not there": (
            artifact_source,
            ~exists().where(
                artifact.c.cube_id == sources.cube_id, artifact.c.id == sources.artifact_id
            ),
        ),
        "artifacts of cubes that are not there": (
            artifact,
            ~exists().where(cube.c.id == artifact.c.cube_id),
        ),
    }
    found = []
    for problem, (table, where) in lost.items():
        rows = connection.execute(
            select(table.c.cube_id, func.count()).where(where).group_by(table.c.cube_id)
        ).all()
        if rows and repair:
            connection.execute(delete(table).where(where))
        found += [
            Finding(
                check="artifacts", cube_id=cube_id, problem=problem, count=count, repaired=repair
            )
            for cube_id, count in rows
        ]
    return found


def _check_counters(connection: Connection, *, repair: bool) -> list[Finding]:
    newest = select(func.max(memory.c.seq)).where(memory.c.cube_id == cube.c.id).scalar_subquery()
    behind = connection.execute(
        select(cube.c.id, newest - cube.c.change_seq).where(newest > cube.c.change_seq)
    ).all()
    if behind and repair:
        connection.execute(update(cube).where(newest > cube.c.change_seq).values(change_seq=newest))
    return [
        Finding(
            check="change numbers",
            cube_id=cube_id,
            problem="the cube's counter is behind its memories",
            count=count,
            repaired=repair,
        )
        for cube_id, count in behind
    ]


def _check_history(connection: Connection) -> list[Finding]:
    """A missing version can't be made up: reported, never repaired."""
    versions = memory_version.c
    last = exists().where(
        versions.cube_id == memory.c.cube_id,
        versions.memory_id == memory.c.id,
        versions.version == memory.c.version,
    )
    rows = connection.execute(
        select(memory.c.cube_id, func.count()).where(~last).group_by(memory.c.cube_id)
    )
    return [
        Finding(
            check="history",
            cube_id=cube_id,
            problem="memories whose present version is not in their history",
            count=count,
            repaired=False,
        )
        for cube_id, count in rows
    ]


def kept_of_erased() -> tuple[tuple[str, Table, ColumnElement[bool]], ...]:
    """What must not be there of an erased memory: a name, the table, which rows."""
    return (
        ("snapshots", memory_version, memory_version.c.snapshot.is_not(None)),
        ("indexed forms", indexed, true()),
        ("assertions", assertion, true()),
        ("mentions", mention, true()),
        ("readings", reading, true()),
        ("notes", note, true()),
    )


def _check_erased(connection: Connection, *, repair: bool) -> list[Finding]:
    erased = select(memory.c.cube_id, memory.c.id).where(memory.c.state == State.ERASED.value)
    found = []
    for name, table, left in kept_of_erased():
        kept = and_(left, tuple_(table.c.cube_id, table.c.memory_id).in_(erased))
        rows = connection.execute(
            select(table.c.cube_id, func.count()).where(kept).group_by(table.c.cube_id)
        ).all()
        if rows and repair:
            if table is memory_version:
                connection.execute(update(memory_version).where(kept).values(snapshot=None))
            else:
                connection.execute(delete(table).where(kept))
        found += [
            Finding(
                check="erasure",
                cube_id=cube_id,
                problem=f"{name} of erased memories",
                count=count,
                repaired=repair,
            )
            for cube_id, count in rows
        ]
    return found
