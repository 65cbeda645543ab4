"""Dumps over SQL: one snapshot out, one transaction in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from sqlalchemy import Connection, insert

from memos.errors import InvalidDump
from memos.protocols import Arrived, Clock, NewId
from memos.storage.audit import AuditTrail
from memos.storage.cubes import cube_row, ensure_tenant, name_taken
from memos.storage.dumps.contents import TABLES
from memos.storage.dumps.form import Head, LineReader, Sink
from memos.storage.dumps.loading import Loading, check_all, readers_of
from memos.storage.dumps.writing import write
from memos.storage.engine import Database
from memos.storage.errors import is_misfit, taken
from memos.storage.jobs.queue import SqlJobQueue
from memos.storage.records import micros
from memos.storage.tables import cube
from memos.types import Cube, Dump, Loaded, NewJob

_DIMENSIONS = 1 << 16


class SqlDumpStore:
    """`memos.protocols.DumpStore`."""

    def __init__(
        self,
        database: Database,
        *,
        jobs: SqlJobQueue,
        audit: AuditTrail,
        new_id: NewId,
        clock: Clock,
    ) -> None:
        self._db = database
        self._jobs = jobs
        self._audit = audit
        self._new_id = new_id
        self._clock = clock

    def write(self, cube_id: str, file: BinaryIO, *, product: str) -> Dump:
        sink = Sink(file)
        with self._db.snapshot() as connection:
            name, rows = write(connection, cube_id, sink, product=product, at=self._clock())
        return Dump(name=name, rows=rows, bytes=sink.size, sha256=sink.digest.hexdigest())

    def load(
        self,
        file: BinaryIO,
        *,
        tenant_id: str,
        name: str | None,
        ratio: int,
        analyzer: str,
        check: Callable[[Cube], None],
        jobs: Callable[[Arrived], Sequence[NewJob]],
        actor: str | None,
    ) -> Loaded:
        size = file.seek(0, os.SEEK_END)
        reader = _reader(file, size, ratio)
        new = self._cube(reader.head, tenant_id, name)
        check(new)
        readers = readers_of(reader, TABLES, new)
        check_all(reader, readers)
        with self._db.write() as connection, _misfits():
            if not self._db.is_sqlite:
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            self._insert_cube(connection, new, reader.head)
            loading = Loading(
                connection, new, readers, new_id=self._new_id, now=micros(self._clock())
            )
            again = _reader(file, size, ratio)
            loading.rows(again)
            if not self._db.is_sqlite:
                # Statistics don't know the new cube: its rows would be taken for one, and each
                # check for one loop over all of them in the other.
                connection.exec_driver_sql("SET LOCAL enable_nestloop = off")
            head = again.head.cube
            arrived = loading.finish(
                change_seq=head.change_seq, graph_seq=head.graph_seq, analyzer=analyzer
            )
            queued = self._jobs.add(connection, jobs(arrived))
            self._audit.record(
                connection, tenant_id=tenant_id, action="cube.load", target=new.id, actor=actor
            )
        self._db.grown(loading.counts.get("memory", 0))
        return Loaded(cube=new, rows=loading.counts, jobs=queued)

    def _cube(self, head: Head, tenant_id: str, name: str | None) -> Cube:
        found = head.cube
        if found.embedding is not None and not 0 < found.embedding.dimensions <= _DIMENSIONS:
            raise InvalidDump(f"vectors of {found.embedding.dimensions} dimensions can't be stored")
        return Cube(
            id=self._new_id(),
            tenant_id=tenant_id,
            name=found.name if name is None else name,
            description=found.description,
            metadata=found.metadata,
            embedding=found.embedding,
            created_at=found.created_at,
        )

    def _insert_cube(self, connection: Connection, new: Cube, head: Head) -> None:
        ensure_tenant(connection, new.tenant_id, micros(self._clock()))
        row = {**cube_row(new), "graph_rules": head.cube.graph_rules}
        with taken(lambda: name_taken(new.name)):
            connection.execute(insert(cube), row)


def _reader(file: BinaryIO, size: int, ratio: int) -> LineReader:
    file.seek(0)
    return LineReader(file, size=size, ratio=ratio)


@contextmanager
def _misfits() -> Iterator[None]:
    """What the database refuses of the rows is the dump's fault."""
    try:
        yield
    except Exception as error:
        if is_misfit(error):
            raise InvalidDump(f"the rows of the dump do not fit together: {error}") from error
        raise
