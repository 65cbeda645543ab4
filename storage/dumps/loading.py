"""The rows of a dump, written into the database as a new cube, in one transaction of the caller.

What rows must be to each other is looked at here, before the commit, as `doctor` would look at it;
what each must be by itself is `memos.storage.dumps.rows`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from sqlalchemy import Connection, Table, and_, exists, func, select, tuple_, update

from memos.errors import InvalidDump
from memos.protocols import Arrived, NewId
from memos.storage.bulk import load
from memos.storage.dumps.artifacts import Artifacts
from memos.storage.dumps.form import LineReader
from memos.storage.dumps.rows import Row, Rows
from memos.storage.feed import unindexed_memories
from memos.storage.health import ORPHANS, kept_of_erased
from memos.storage.tables import (
    artifact,
    artifact_source,
    cube,
    entity,
    fact,
    graph_gone,
    link,
    memory,
    memory_version,
    mention,
    removed_link,
)
from memos.types import Cube, State

_PART = 1000


class Loading:
    """One dump, into one new cube. `readers` are those of its tables, by name."""

    def __init__(
        self,
        connection: Connection,
        new: Cube,
        readers: Mapping[str, Rows],
        *,
        new_id: NewId,
        now: int,
    ) -> None:
        self._connection = connection
        self._cube = new
        self._readers = readers
        self._new_id = new_id
        self._artifacts = Artifacts(new_id, at=now)
        self.counts = dict.fromkeys(readers, 0)

    def rows(self, reader: LineReader) -> None:
        """Inserts all rows."""
        for name, lines in groupby(reader.rows(), key=lambda entry: entry[0]):
            found = self._readers[name]
            for part in _parts(found.read(line) for _, line in lines):
                self.counts[name] += len(part)
                self._insert(found.table, part)

    def finish(self, *, change_seq: int, graph_seq: int, analyzer: str) -> Arrived:
        """Sets the counters and checks what is now there. InvalidDump."""
        last = max(change_seq, self._newest(memory))
        graph = max(
            graph_seq, *(self._newest(table) for table in (entity, fact, mention, graph_gone))
        )
        self._connection.execute(
            update(cube).where(cube.c.id == self._cube.id).values(change_seq=last, graph_seq=graph)
        )
        self._check()
        model = self._cube.embedding
        asked = {
            "cube": self._cube.id,
            "analyzer": analyzer,
            "model": model.digest if model else "",
            "limit": 1,
        }
        lacking = self._connection.execute(unindexed_memories, asked).first()
        return Arrived(
            cube=self._cube,
            last=last,
            compiled=tuple(self._artifacts.compiled),
            attached=tuple(self._artifacts.attached),
            unindexed=lacking is not None,
        )

    def _insert(self, table: Table, rows: list[Row]) -> None:
        if table in (link, removed_link):
            self._free_ids(table, rows)
        if table is artifact:
            rows = [self._artifacts.row(row) for row in rows]
        if table is artifact_source:
            rows = [self._artifacts.source(row) for row in rows]
        load(self._connection, table, rows)

    def _free_ids(self, table: Table, rows: list[Row]) -> None:
        """Links have ids of their own over all cubes: one that is taken is replaced."""
        ids = [row[0] for row in rows]
        taken = {
            id
            for place in (link, removed_link)
            for id in self._connection.execute(select(place.c.id).where(place.c.id.in_(ids)))
            .scalars()
            .all()
        }
        for row in rows:
            if row[0] in taken:
                row[0] = self._new_id()
            taken.add(row[0])

    def _newest(self, table: Table) -> int:
        query = select(func.max(table.c.seq)).where(table.c.cube_id == self._cube.id)
        return self._connection.execute(query).scalar() or 0

    def _check(self) -> None:
        for what, (table, end) in ORPHANS.items():
            parent = exists().where(memory.c.cube_id == self._cube.id, memory.c.id == end)
            self._none(table, ~parent, f"{what} of memories that are not in the dump")
        erased = select(memory.c.id).where(
            memory.c.cube_id == self._cube.id, memory.c.state == State.ERASED.value
        )
        for what, table, left in kept_of_erased():
            where = and_(left, table.c.memory_id.in_(erased))
            self._none(table, where, f"{what} of erased memories")
        versions = select(memory_version.c.memory_id, memory_version.c.version).where(
            memory_version.c.cube_id == self._cube.id
        )
        known = tuple_(memory.c.id, memory.c.version).in_(versions)
        self._none(memory, ~known, "memories whose present version is not in their history")

    def _none(self, table: Table, where: object, what: str) -> None:
        query = select(table.c.cube_id).where(table.c.cube_id == self._cube.id, where)  # type: ignore[arg-type]
        if self._connection.execute(query.limit(1)).first() is not None:
            raise InvalidDump(
                f"the dump has {what}; run `memos doctor --repair` where it comes from, and dump "
                "again"
            )


def _parts(rows: Iterable[Row]) -> Iterable[list[Row]]:
    part: list[Row] = []
    for row in rows:
        part.append(row)
        if len(part) == _PART:
            yield part
            part = []
    if part:
        yield part


def check_all(reader: LineReader, readers: Mapping[str, Rows]) -> None:
    """Reads a dump to its end without keeping anything. InvalidDump."""
    for name, line in reader.rows():
        readers[name].read(line)


def readers_of(reader: LineReader, tables: Sequence[Table], new: Cube) -> dict[str, Rows]:
    """For the tables that the dump has. InvalidDump for one that is not known."""
    known = {table.name: table for table in tables}
    unknown = sorted(set(reader.head.tables) - set(known))
    if unknown:
        raise InvalidDump(
            f"the dump has tables that this version of memos does not know: "
            f"{', '.join(unknown)[:200]}; load it with the version that wrote it, or a newer one"
        )
    return {
        name: Rows(known[name], names, cube_id=new.id, model=new.embedding)
        for name, names in reader.head.tables.items()
    }
