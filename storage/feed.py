"""The change feed: from the truth to everything derived from it, in order and without gaps.

Knows change numbers and indexed forms; does not know who follows the feed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, and_, bindparam, delete, or_, select, update

from memos.protocols import Change, Indexed
from memos.storage.bulk import by_ids, load
from memos.storage.cubes import cube_missing
from memos.storage.engine import Database
from memos.storage.records import digest, indexed_row, memory_of, vector_of
from memos.storage.tables import cube, indexed, memory
from memos.types import LIVE, Memory

if TYPE_CHECKING:
    from memos.protocols import Vector

_CHUNK = 500
_LIVE = tuple(state.value for state in LIVE)

_take = (
    update(cube)
    .where(cube.c.id == bindparam("cube"))
    .values(change_seq=cube.c.change_seq + bindparam("count"))
    .returning(cube.c.change_seq, cube.c.tenant_id)
)
_last = select(cube.c.change_seq).where(cube.c.id == bindparam("cube"))
_with_indexed = memory.outerjoin(
    indexed, and_(indexed.c.cube_id == memory.c.cube_id, indexed.c.memory_id == memory.c.id)
)
_changes = (
    select(
        memory.c.seq,
        memory.c.id,
        memory.c.version,
        memory.c.state,
        memory.c.kind,
        memory.c.position,
        memory.c.user_id,
        memory.c.agent_id,
        memory.c.session_id,
        memory.c.speaker,
        memory.c.place,
        memory.c.occurred_at,
        memory.c.created_at,
        memory.c.expires_at,
        memory.c.priority,
        memory.c.metadata,
        indexed.c.terms,
        indexed.c.vector,
    )
    .select_from(_with_indexed)
    .where(memory.c.cube_id == bindparam("cube"), memory.c.seq > bindparam("after"))
    .order_by(memory.c.seq)
    .limit(bindparam("limit"))
)
unindexed_memories = (
    select(memory)
    .select_from(_with_indexed)
    .where(
        memory.c.cube_id == bindparam("cube"),
        memory.c.state.in_(_LIVE),
        or_(
            indexed.c.memory_id.is_(None),
            indexed.c.version != memory.c.version,
            indexed.c.terms.is_(None),
            indexed.c.analyzer.is_distinct_from(bindparam("analyzer")),
            indexed.c.vector.is_(None),
            indexed.c.model.is_distinct_from(bindparam("model")),
        ),
    )
    # What is indexed gets a new number, so the rest is found at the front and not behind it.
    .order_by(memory.c.seq)
    .limit(bindparam("limit"))
)
_vectors = select(indexed.c.text_sha256, indexed.c.vector).where(
    indexed.c.cube_id == bindparam("cube"),
    indexed.c.text_sha256.in_(bindparam("digests", expanding=True)),
    indexed.c.model == bindparam("model"),
    indexed.c.vector.is_not(None),
)
_stamp = (
    update(memory)
    .where(memory.c.cube_id == bindparam("cube"), memory.c.id == bindparam("stamped"))
    .values(seq=bindparam("number"))
)
_delete_form = delete(indexed).where(
    indexed.c.cube_id == bindparam("cube"), indexed.c.memory_id == bindparam("stamped")
)


def take_numbers(connection: Connection, cube_id: str, count: int) -> tuple[int, str]:
    """The last of the next `count` change numbers, and the cube's tenant. CubeNotFound.

    Locks the cube's row until the transaction ends, so numbers become visible in their order.
    """
    row = connection.execute(_take, {"cube": cube_id, "count": count}).first()
    if row is None:
        raise cube_missing(cube_id)
    return row[0], row[1]


class SqlChangeFeed:
    """`memos.protocols.ChangeFeed`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def last(self, cube_id: str) -> int:
        with self._db.read() as connection:
            number: int | None = connection.execute(_last, {"cube": cube_id}).scalar()
        if number is None:
            raise cube_missing(cube_id)
        return number

    def changes(self, cube_id: str, *, after: int, limit: int = 5000) -> list[Change]:
        asked = {"cube": cube_id, "after": after, "limit": limit}
        with self._db.read() as connection:
            rows = connection.execute(_changes, asked).all()
        if not rows:
            self.last(cube_id)
        return [
            Change(
                seq,
                memory_id,
                version,
                state in _LIVE,
                kind,
                position,
                user_id,
                agent_id,
                session_id,
                speaker,
                place,
                None if occurred_at is None else occurred_at / 1e6,
                created_at / 1e6,
                None if expires_at is None else expires_at / 1e6,
                priority,
                metadata,
                terms,
                None if vector is None else vector_of(vector),
            )
            for (
                seq,
                memory_id,
                version,
                state,
                kind,
                position,
                user_id,
                agent_id,
                session_id,
                speaker,
                place,
                occurred_at,
                created_at,
                expires_at,
                priority,
                metadata,
                terms,
                vector,
            ) in rows
        ]

    def put_indexed(self, cube_id: str, items: Sequence[tuple[str, int, Indexed]]) -> int:
        with self._db.write() as connection:
            take_numbers(connection, cube_id, 0)
            ids = [memory_id for memory_id, _, _ in items]
            known = by_ids(connection, memory, cube_id, ids, "id, version")
            present = {row[0]: row[1] for row in known}
            # By id, so that the same memory twice in `items` is stored once, as it came last.
            rows = {
                memory_id: indexed_row(cube_id, memory_id, version, form)
                for memory_id, version, form in items
                if present.get(memory_id) == version
            }
            if not rows:
                return 0
            last, _ = take_numbers(connection, cube_id, len(rows))
            stamps = [
                {"cube": cube_id, "stamped": memory_id, "number": number}
                for number, memory_id in enumerate(rows, last - len(rows) + 1)
            ]
            connection.execute(_stamp, stamps)
            connection.execute(_delete_form, stamps)
            load(connection, indexed, [row.values() for row in rows.values()])
        return len(rows)

    def unindexed(self, cube_id: str, *, analyzer: str, model: str, limit: int) -> list[Memory]:
        asked = {"cube": cube_id, "analyzer": analyzer, "model": model, "limit": limit}
        with self._db.read() as connection:
            return [memory_of(row) for row in connection.execute(unindexed_memories, asked)]

    def vectors(self, cube_id: str, texts_sha256: Sequence[str], model: str) -> dict[str, Vector]:
        digests = [digest(text) for text in texts_sha256]
        found: dict[str, Vector] = {}
        with self._db.read() as connection:
            for start in range(0, len(digests), _CHUNK):
                chunk = {
                    "cube": cube_id,
                    "digests": digests[start : start + _CHUNK],
                    "model": model,
                }
                for text_sha256, vector in connection.execute(_vectors, chunk):
                    found[text_sha256.hex()] = vector_of(vector)
        return found
