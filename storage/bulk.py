"""Many rows at once: the driver's own fast ways, where SQLAlchemy's cost per row would dominate.

Knows the two dialects' SQL for loading rows and for looking rows up by a list of keys; nothing of
what the rows mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Connection, Float, Integer, Table, TextClause, text

from memos.storage.records import storable


def load(connection: Connection, table: Table, rows: Sequence[Iterable[Any]]) -> None:
    """Inserts `rows`, each with a value for every column of `table` in their order."""
    if not rows:
        return
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
    # No row can have an id that no database can hold. JSON: see `_wanted`.
    keys = json.dumps([key for key in ids if storable(key)], ensure_ascii=False)
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
        f"SELECT {wanted} FROM json_array_elements_text(CAST(:ids AS json)) AS wanted(id)"
        f" CROSS JOIN LATERAL (SELECT * FROM {table} WHERE cube_id = :cube AND id = wanted.id"
        f" LIMIT 1) AS {table}"
    )


def matching(
    connection: Connection,
    table: Table,
    cube_id: str,
    on: Sequence[str],
    keys: Sequence[Sequence[Any]],
    columns: str = "*",
    where: str = "",
    beside: Sequence[str] = (),
    **parameters: Any,
) -> Sequence[Sequence[Any]]:
    """`columns` of all rows of a cube whose columns `on` are one of `keys`, which drive the join.

    `where` is further SQL on the rows, with `parameters`. What a key has beyond `on`, of the types
    of the columns `beside`, is w.k<place> there. A key given twice finds its rows twice.
    """
    wanted = [key for key in keys if all(type(part) is not str or storable(part) for part in key)]
    if not wanted:
        return []
    dialect = connection.dialect.name
    bare = dialect == "sqlite" and len(on) + len(beside) == 1
    asked = {**parameters, "cube": cube_id, "keys": _keys(wanted, bare=bare)}
    return connection.execute(
        _matching(dialect, table, tuple(on), columns, where, tuple(beside)), asked
    ).all()


def change(
    connection: Connection,
    table: Table,
    cube_id: str,
    on: Sequence[str],
    sets: Sequence[str],
    rows: Sequence[Sequence[Any]],
) -> None:
    """Sets columns of many rows: each of `rows` has the values of `on`, then those of `sets`."""
    if not rows:
        return
    names = (*on, *sets)
    if connection.dialect.name == "sqlite":
        where = " AND ".join(f"{name} = ?" for name in on)
        to = ", ".join(f"{name} = ?" for name in sets)
        connection.exec_driver_sql(
            f"UPDATE {table.name} SET {to} WHERE cube_id = ? AND {where}",
            [(*row[len(on) :], cube_id, *row[: len(on)]) for row in rows],
        )
        return
    where = " AND ".join(f"{table.name}.{name} = w.k{n}" for n, name in enumerate(on))
    to = ", ".join(f"{name} = w.k{n}" for n, name in enumerate(sets, len(on)))
    statement = (
        f"UPDATE {table.name} SET {to} FROM {_wanted('postgresql', table, names)} AS w"
        f" WHERE {table.name}.cube_id = :cube AND {where}"
    )
    connection.execute(text(statement), {"cube": cube_id, "keys": _keys(rows, bare=False)})


def remove(
    connection: Connection,
    table: Table,
    cube_id: str,
    on: Sequence[str],
    keys: Sequence[Sequence[Any]],
) -> None:
    """Deletes the rows of a cube whose columns `on` are one of `keys`."""
    if not keys:
        return
    if connection.dialect.name == "sqlite":
        where = " AND ".join(f"{name} = ?" for name in on)
        connection.exec_driver_sql(
            f"DELETE FROM {table.name} WHERE cube_id = ? AND {where}",
            [(cube_id, *key) for key in keys],
        )
        return
    where = " AND ".join(f"{table.name}.{name} = w.k{n}" for n, name in enumerate(on))
    statement = (
        f"DELETE FROM {table.name} USING {_wanted('postgresql', table, on)} AS w"
        f" WHERE {table.name}.cube_id = :cube AND {where}"
    )
    connection.execute(text(statement), {"cube": cube_id, "keys": _keys(keys, bare=False)})


def keyed(
    connection: Connection, table: Table, names: Sequence[str], keys: Sequence[Sequence[Any]]
) -> tuple[str, str]:
    """SQL of a table of `keys` with the columns k0, k1, …, of the types of the columns `names`, of
    which there are two or more; and the value of its parameter `keys`."""
    return _wanted(connection.dialect.name, table, names), _keys(keys, bare=False)


def _wanted(dialect: str, table: Table, names: Sequence[str]) -> str:
    """A derived table of the parameter `keys`, a JSON list; its columns are k0, k1, …

    JSON, also for PostgreSQL: its driver is slow at writing arrays.
    """
    if dialect == "sqlite":
        parts = (
            ["value"]
            if len(names) == 1
            else [f"json_extract(value, '$[{n}]')" for n in range(len(names))]
        )
        columns = ", ".join(f"{part} AS k{n}" for n, part in enumerate(parts))
        return f"(SELECT {columns} FROM json_each(:keys))"
    columns = ", ".join(
        f"CAST(key ->> {n} AS {_type(table, name)}) AS k{n}" for n, name in enumerate(names)
    )
    return f"(SELECT {columns} FROM json_array_elements(CAST(:keys AS json)) AS each(key) OFFSET 0)"


def _keys(keys: Sequence[Sequence[Any]], *, bare: bool) -> str:
    return json.dumps([key[0] for key in keys] if bare else list(keys), ensure_ascii=False)


def _type(table: Table, name: str) -> str:
    kind = table.c[name].type
    if isinstance(kind, BigInteger):
        return "bigint"
    if isinstance(kind, Integer):
        return "integer"
    return "double precision" if isinstance(kind, Float) else "text"


@lru_cache(maxsize=256)
def _matching(
    dialect: str,
    table: Table,
    on: tuple[str, ...],
    columns: str,
    where: str,
    beside: tuple[str, ...],
) -> TextClause:
    name = table.name
    wanted = ", ".join(f"{name}.{part.strip()}" for part in columns.split(","))
    extra = f" AND {where}" if where else ""
    keys = _wanted(dialect, table, (*on, *beside))
    same = " AND ".join(f"{name}.{column} = w.k{n}" for n, column in enumerate(on))
    if dialect == "sqlite":
        return text(
            f"SELECT {wanted} FROM {keys} AS w CROSS JOIN {name}"
            f" WHERE {name}.cube_id = :cube AND {same}{extra}"
        )
    # OFFSET 0 keeps the planner from turning the look-ups into a join of the whole table.
    return text(
        f"SELECT {wanted} FROM {keys} AS w CROSS JOIN LATERAL"
        f" (SELECT * FROM {name} WHERE {name}.cube_id = :cube AND {same}{extra} OFFSET 0) AS {name}"
    )


def _names(table: Table) -> str:
    return ", ".join(column.name for column in table.c)


@lru_cache
def _insert(table: Table) -> str:
    marks = ", ".join("?" * len(table.c))
    return f"INSERT INTO {table.name} ({_names(table)}) VALUES ({marks})"
