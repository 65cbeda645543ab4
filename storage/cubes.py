"""Cubes in SQL. Knows nothing of the indexes outside SQL; a job takes those away after `delete`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    LargeBinary,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from memos.errors import AlreadyExists, CubeNotFound
from memos.protocols import Clock
from memos.storage.audit import AuditTrail
from memos.storage.derived.leftovers import after_deletion
from memos.storage.engine import Database
from memos.storage.errors import taken
from memos.storage.events import event, event_subject
from memos.storage.jobs.queue import SqlJobQueue
from memos.storage.records import (
    checked,
    cube_of,
    json_text,
    micros,
    moment_or_none,
    storable,
)
from memos.storage.tables import KEPT, cube, indexed, lifecycle_rule, memory, metadata, schedule
from memos.types import Cube, CubeDescription, EmbeddingModel, NewJob, State

# Links first, for they refer to memories; jobs are cancelled, not deleted.
# Tables that other modules define are named, so that they are there whatever was imported before.
_TABLES = {
    *metadata.tables.values(),
    *KEPT,
    event,
    event_subject,
    lifecycle_rule,
    schedule,
}
_CONTENTS = sorted(
    (table for table in _TABLES if "cube_id" in table.c and table.name != "job"),
    key=lambda table: (table.name != "link", table is memory),
)
_COUNTERS = ("change_seq", "graph_seq", "graph_rules")
PLAIN = [column for column in cube.c if column.name not in _COUNTERS]
"""The columns that a `Cube` is made of."""
_insert_tenant = text(
    "INSERT INTO tenant (id, created_at) VALUES (:id, :created_at) ON CONFLICT DO NOTHING"
)


def cube_missing(cube_id: str) -> CubeNotFound:
    return CubeNotFound(f"there is no cube {cube_id!r}; create it first", cube=cube_id)


def ensure_tenant(connection: Connection, tenant_id: str, at: int) -> None:
    """Makes the tenant if it is new; `at` in microseconds."""
    connection.execute(_insert_tenant, checked({"id": tenant_id, "created_at": at}))


def cube_row(new: Cube) -> dict[str, Any]:
    """By column of `tables.cube`, of a cube in which nothing has changed yet."""
    model = new.embedding
    return checked(
        {
            "id": new.id,
            "tenant_id": new.tenant_id,
            "name": new.name,
            "description": new.description,
            "metadata": json_text(new.metadata),
            "change_seq": 0,
            "model_id": model and model.id,
            "model_digest": model and model.digest,
            "model_dimensions": model and model.dimensions,
            "model_max_tokens": model and model.max_tokens,
            "created_at": micros(new.created_at),
        }
    )


class SqlCubeStore:
    """`memos.protocols.CubeStore`."""

    def __init__(
        self, database: Database, *, jobs: SqlJobQueue, audit: AuditTrail, clock: Clock
    ) -> None:
        self._db = database
        self._jobs = jobs
        self._audit = audit
        self._clock = clock

    def create(self, new: Cube) -> Cube:
        row = cube_row(new)
        with self._db.write() as connection:
            ensure_tenant(connection, new.tenant_id, micros(self._clock()))
            with taken(lambda: name_taken(new.name)):
                connection.execute(insert(cube), row)
            self._audit.record(
                connection, tenant_id=new.tenant_id, action="cube.create", target=new.id
            )
        return new

    def get(self, tenant_id: str, name_or_id: str) -> Cube:
        if not storable(name_or_id):
            raise cube_missing(name_or_id)
        query = (
            select(*PLAIN)
            .where(
                cube.c.tenant_id == tenant_id,
                or_(cube.c.id == name_or_id, cube.c.name == name_or_id),
            )
            # A cube may be named like another's id; the id wins.
            .order_by(cube.c.id != name_or_id)
            .limit(1)
        )
        with self._db.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise cube_missing(name_or_id)
        return cube_of(row)

    def page(self, tenant_id: str, *, after: str | None, limit: int) -> list[Cube]:
        query = select(*PLAIN).where(cube.c.tenant_id == tenant_id)
        if after is not None:
            query = query.where(cube.c.id > after)
        with self._db.read() as connection:
            return [
                cube_of(row) for row in connection.execute(query.order_by(cube.c.id).limit(limit))
            ]

    def describe(self, cube_id: str) -> CubeDescription:
        size = (
            func.length(cast(memory.c.content, LargeBinary))
            if self._db.is_sqlite
            else func.octet_length(memory.c.content)
        )
        here = memory.c.cube_id == cube_id
        living = memory.c.state != State.ERASED.value
        at = func.coalesce(memory.c.occurred_at, memory.c.created_at)
        groups = select(
            memory.c.kind, memory.c.state, func.count(), func.sum(size), func.min(at), func.max(at)
        ).where(here)
        with self._db.read() as connection:
            row = connection.execute(select(*PLAIN).where(cube.c.id == cube_id)).first()
            if row is None:
                raise cube_missing(cube_id)
            found = connection.execute(groups.group_by(memory.c.kind, memory.c.state)).all()
            sessions = connection.execute(
                select(func.count(memory.c.session_id.distinct())).where(here, living)
            ).scalar_one()
            vectors = connection.execute(
                select(func.sum(func.length(indexed.c.vector))).where(indexed.c.cube_id == cube_id)
            ).scalar()
        by_kind: Counter[str] = Counter()
        by_state: Counter[str] = Counter()
        for kind, state, count, *_ in found:
            by_state[state] += count
            if state != State.ERASED.value:
                by_kind[kind] += count
        kept = [group for group in found if group[1] != State.ERASED.value]
        return CubeDescription(
            cube=cube_of(row),
            memories=sum(by_kind.values()),
            by_kind=dict(by_kind),
            by_state=dict(by_state),
            sessions=sessions,
            text_bytes=int(sum(group[3] for group in kept)),
            vector_bytes=int(vectors or 0),
            earliest=moment_or_none(min((group[4] for group in kept), default=None)),
            latest=moment_or_none(max((group[5] for group in kept), default=None)),
        )

    def set_embedding(self, cube_id: str, model: EmbeddingModel) -> None:
        change = (
            update(cube)
            .where(cube.c.id == cube_id)
            .values(
                model_id=model.id,
                model_digest=model.digest,
                model_dimensions=model.dimensions,
                model_max_tokens=model.max_tokens,
            )
        )
        with self._db.write() as connection:
            if connection.execute(change).rowcount == 0:
                raise cube_missing(cube_id)

    def delete(self, cube_id: str, *, jobs: Sequence[NewJob] = ()) -> None:
        with self._db.erasing() as connection:
            if not self._db.is_sqlite:
                # As long as it takes: there may be millions of rows.
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            # Locks the row, so that no write to the cube comes in between.
            owner = connection.execute(
                update(cube)
                .where(cube.c.id == cube_id)
                .values(change_seq=cube.c.change_seq)
                .returning(cube.c.tenant_id)
            ).scalar()
            if owner is None:
                raise cube_missing(cube_id)
            files = after_deletion(connection, owner, cube_id)
            for table in _CONTENTS:
                connection.execute(delete(table).where(table.c.cube_id == cube_id))
            connection.execute(delete(cube).where(cube.c.id == cube_id))
            self._jobs.cancel(connection, cube_id)
            self._jobs.add(connection, [*jobs, *files])
            self._audit.record(connection, tenant_id=owner, action="cube.delete", target=cube_id)


def name_taken(name: str) -> AlreadyExists:
    return AlreadyExists(f"there is already a cube named {name!r}; choose another name", name=name)
