"""Many rows at once: the driver's own fast ways, where SQLAlchemy's cost per row would dominate.

Knows the two dialects' SQL for loading rows and for looking rows up by a list of keys; nothing of
what the rows mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table, TextClause, text

from memos.storage.records import storable


def load(connection: Connection, table: Table, rows: Sequence[Iterable[Any]]) -> None:
    """Inserts `rows`, each with a value for every column of `table` in their order."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_insert(table), [tuple(row) for row in rows])
        return
    cursor = connection.connection.cursor()
    try:
        with cursor.copy(f"COPY {table.name} ({_names(table)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(tuple(row))
    finally:
        cursor.close()


def by_ids(
    connection: Connection, table: Table, cube_id: str, ids: Sequence[str], columns: str = "*"
) -> Sequence[Sequence[Any]]:
    """`columns` of the rows of a cube with these `id`s; at most one row each.

    The keys drive the join whatever the statistics say: PostgreSQL has none of a cube that was just
    filled, and would read all of it.
    """
    # No row can have an id that no database can hold.
    keys: Any = [key for key in ids if storable(key)]
    if connection.dialect.name == "sqlite":
        keys = json.dumps(keys)
    statement = _lookup(connection.dialect.name, table.name, columns)
    return connection.execute(statement, {"cube": cube_id, "ids": keys}).all()


@lru_cache
def _lookup(dialect: str, table: str, columns: str) -> TextClause:
    wanted = ", ".join(f"{table}.{name.strip()}" for name in columns.split(","))
    if dialect == "sqlite":
        return text(
            f"SELECT {wanted} FROM json_each(:ids) AS wanted CROSS JOIN {table}"
            f" WHERE {table}.cube_id = :cube AND {table}.id = wanted.value"
        )
    return text(
        f"SELECT {wanted} FROM unnest(CAST(:ids AS text[])) AS wanted(id)"
        f" CROSS JOIN LATERAL (SELECT * FROM {table} WHERE cube_id = :cube AND id = wanted.id"
        f" LIMIT 1) AS {table}"
    )


def _names(table: Table) -> str:
    return ", ".join(column.name for column in table.c)


@lru_cache
def _insert(table: Table) -> str:
    marks = ", ".join("?" * len(table.c))
    return f"INSERT INTO {table.name} ({_names(table)}) VALUES ({marks})"
