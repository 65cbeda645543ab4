"""New SQLite databases get their tables from a list that the migrations made once, which takes a
twentieth of the time. `tables_made_once` is for all tests, `migrated_really` for those that are
about the migrations."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import Connection

from memos.storage import migrations
from memos.storage.engine import Database

_upgrade = migrations._upgrade

Statement = tuple[str, tuple[Any, ...]]


def _copied(connection: Connection, place: str) -> None:
    if connection.dialect.name != "sqlite" or _tables(connection):
        _upgrade(connection, place)
        return
    for statement, values in _statements():
        connection.exec_driver_sql(statement, values)


def _tables(connection: Connection) -> bool:
    return connection.exec_driver_sql("SELECT 1 FROM sqlite_master").first() is not None


@cache
def _statements() -> tuple[Statement, ...]:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "made.db"
        database = Database(f"sqlite:///{file}")
        with database.write() as connection:
            _upgrade(connection, str(file))
        database.close()
        made = sqlite3.connect(file)
        try:
            return (*_schema(made), *_rows(made))
        finally:
            made.close()


def _schema(made: sqlite3.Connection) -> Iterator[Statement]:
    """In the order in which it was made; what SQLite adds by itself has no text."""
    wanted = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    for (sql,) in made.execute(f"{wanted} ORDER BY rowid").fetchall():
        yield sql, ()


def _rows(made: sqlite3.Connection) -> Iterator[Statement]:
    """The version of the schema, and what else the migrations put in."""
    names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    for (name,) in made.execute(names).fetchall():
        for row in made.execute(f'SELECT * FROM "{name}"').fetchall():
            yield f'INSERT INTO "{name}" VALUES ({", ".join("?" for _ in row)})', row


@pytest.fixture(scope="session", autouse=True)
def tables_made_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "_upgrade", _copied)
        yield


@pytest.fixture
def migrated_really(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "_upgrade", _upgrade)
