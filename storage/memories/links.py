"""Links between memories in SQL. Knows nothing of what a relation means."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, Table, delete, insert, or_, select

from memos.errors import AlreadyExists, NotFound
from memos.storage.bulk import by_ids
from memos.storage.engine import Database
from memos.storage.errors import taken
from memos.storage.feed import take_numbers
from memos.storage.memories.rows import memory_missing
from memos.storage.records import link_of, link_row, micros
from memos.storage.tables import link, memory, removed_link
from memos.types import Link, State


class SqlLinkStore:
    """`memos.protocols.LinkStore`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, new: Link) -> Link:
        row = link_row(new)
        same = select(link).where(
            link.c.cube_id == new.cube_id,
            link.c.source_id == new.source_id,
            link.c.target_id == new.target_id,
            link.c.relation == new.relation,
        )
        with self._db.write() as connection:
            # The cube's lock keeps both ends from being erased meanwhile.
            take_numbers(connection, new.cube_id, 0)
            ends = (new.source_id, new.target_id)
            states = dict(map(tuple, by_ids(connection, memory, new.cube_id, ends, "id, state")))
            for end in ends:
                if states.get(end, State.ERASED.value) == State.ERASED.value:
                    raise memory_missing(new.cube_id, end)
            existing = connection.execute(same).first()
            if existing is not None:
                return link_of(existing)
            with taken(lambda: AlreadyExists(f"there is already a link with the id {new.id}")):
                connection.execute(insert(link), row)
        return new

    def of(
        self, cube_id: str, memory_id: str, *, known_as_of: datetime | None = None
    ) -> tuple[Link, ...]:
        with self._db.read() as connection:
            rows = list(connection.execute(_of(link, cube_id, memory_id)))
            if known_as_of is not None:
                at = micros(known_as_of)
                gone = _of(removed_link, cube_id, memory_id).where(removed_link.c.removed_at > at)
                rows += connection.execute(gone)
                rows = [row for row in rows if row.created_at <= at]
        found = {row.id: link_of(row) for row in rows}
        return tuple(sorted(found.values(), key=lambda one: (one.created_at, one.id)))

    def remove(self, cube_id: str, link_id: str, *, at: datetime) -> None:
        change = (
            delete(link).where(link.c.cube_id == cube_id, link.c.id == link_id).returning(*link.c)
        )
        with self._db.write() as connection:
            # The cube's lock keeps an erase from passing by before the link is in the other table.
            take_numbers(connection, cube_id, 0)
            row = connection.execute(change).first()
            if row is None:
                raise NotFound(f"there is no link {link_id!r} in this cube", link_id=link_id)
            connection.execute(insert(removed_link), {**row._mapping, "removed_at": micros(at)})


def _of(table: Table, cube_id: str, memory_id: str) -> Select[Any]:
    return select(table).where(
        table.c.cube_id == cube_id,
        or_(table.c.source_id == memory_id, table.c.target_id == memory_id),
    )
