"""A cube's rows, from one snapshot of the database, as the lines of a dump."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec
from sqlalchemy import Connection, Table, select

from memos.storage.cubes import PLAIN, cube_missing
from memos.storage.dumps.contents import TABLES, columns
from memos.storage.dumps.form import FORMAT, CubeHead, Head, LineWriter, Sink
from memos.storage.records import cube_of
from memos.storage.tables import cube

_PART = 1000


def write(
    connection: Connection, cube_id: str, sink: Sink, *, product: str, at: datetime
) -> tuple[str, dict[str, int]]:
    """Writes all of it: (the cube's name, rows by table). CubeNotFound."""
    head = Head(
        memos_dump=FORMAT,
        product=product,
        at=at,
        cube=_head(connection, cube_id),
        tables={
            str(table.name): [str(column.name) for column in columns(table)] for table in TABLES
        },
    )
    writer = LineWriter(sink, head)
    encode = msgspec.json.Encoder().encode
    for table in TABLES:
        name = str(table.name)
        writer.table(name)
        for part in _parts(connection, table, cube_id):
            writer.part(name, [encode(row) for row in part])
    writer.end()
    return head.cube.name, writer.rows


def _names(table: Table) -> list[str]:
    """Plain texts; those of SQLAlchemy are of a kind that JSON does not know."""
    return [str(column.name) for column in columns(table)]


def _head(connection: Connection, cube_id: str) -> CubeHead:
    row = connection.execute(select(cube).where(cube.c.id == cube_id)).first()
    if row is None:
        raise cube_missing(cube_id)
    found = cube_of([row._mapping[column] for column in PLAIN])
    return CubeHead(
        name=found.name,
        description=found.description,
        metadata=dict(found.metadata),
        embedding=found.embedding,
        created_at=found.created_at,
        change_seq=row.change_seq,
        graph_seq=row.graph_seq,
        graph_rules=row.graph_rules,
    )


def _parts(
    connection: Connection, table: Table, cube_id: str
) -> Iterator[list[tuple[object, ...]]]:
    """By primary key, so that the same rows make the same file; PostgreSQL sends them as they are
    asked for."""
    query = (
        select(*columns(table))
        .where(table.c.cube_id == cube_id)
        .order_by(*table.primary_key.columns)
        .execution_options(yield_per=_PART)
    )
    for part in connection.execute(query).partitions():
        yield [tuple(row) for row in part]
