"""The rows of a memory, its versions and its indexed form: put in, changed, read under the lock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, update

from memos.errors import AlreadyExists, MemoryNotFound, VersionConflict
from memos.protocols import Indexed
from memos.storage.bulk import by_ids, load
from memos.storage.errors import taken
from memos.storage.records import checked, indexed_row, memory_of, memory_row, version_row
from memos.storage.tables import indexed, memory, memory_version
from memos.types import Memory

_insert_indexed = insert(indexed)


def memory_missing(cube_id: str, memory_id: str) -> MemoryNotFound:
    return MemoryNotFound(
        f"there is no memory {memory_id!r} in this cube", memory_id=memory_id, cube=cube_id
    )


def insert_rows(connection: Connection, stored: Sequence[Memory], forms: Sequence[Indexed]) -> None:
    rows = [
        memory_row(item, seq=item.position, position=item.position, version=1).values()
        for item in stored
    ]
    versions = [
        checked(
            version_row(
                item,
                operation="add",
                changed_at=item.created_at,
                actor=item.provenance.actor,
                reason=None,
            )
        ).values()
        for item in stored
    ]
    with taken(lambda: _id_taken(stored)):
        load(connection, memory, rows)
    load(connection, memory_version, versions)
    load(
        connection,
        indexed,
        [
            indexed_row(item.cube_id, item.id, 1, form).values()
            for item, form in zip(stored, forms, strict=True)
        ],
    )


def _id_taken(stored: Sequence[Memory]) -> AlreadyExists:
    ids = [item.id for item in stored]
    return AlreadyExists(
        f"one of these {len(ids)} ids is already in the cube, or twice in the batch: {ids[0]} …"
        if len(ids) > 1
        else f"memory {ids[0]} is already in the cube",
    )


def present(connection: Connection, cube_id: str, memory_id: str) -> Memory:
    """The memory as it is; the cube's row lock, held by the caller, keeps it so."""
    rows = by_ids(connection, memory, cube_id, [memory_id])
    if not rows:
        raise memory_missing(cube_id, memory_id)
    return memory_of(rows[0])


def check_version(found: Memory, expected: int) -> None:
    """VersionConflict if the memory is at another version."""
    if found.version != expected:
        raise VersionConflict(
            f"memory {found.id} is at version {found.version}, not {expected};"
            " read it again and repeat the change",
            expected=expected,
            actual=found.version,
        )


def update_rows(connection: Connection, stored: Memory, seq: int) -> None:
    row: dict[str, Any] = memory_row(
        stored, seq=seq, position=stored.position, version=stored.version
    )
    connection.execute(
        update(memory).where(memory.c.cube_id == stored.cube_id, memory.c.id == stored.id),
        row,
    )


def reindex(connection: Connection, stored: Memory, form: Indexed | None) -> None:
    mine = (indexed.c.cube_id == stored.cube_id, indexed.c.memory_id == stored.id)
    if form is None:
        # Only a form of the version just replaced is still right.
        connection.execute(
            update(indexed)
            .where(*mine, indexed.c.version == stored.version - 1)
            .values(version=stored.version)
        )
        return
    connection.execute(delete(indexed).where(*mine))
    connection.execute(
        _insert_indexed, indexed_row(stored.cube_id, stored.id, stored.version, form)
    )
