"""The graph in SQL: `memos.protocols.GraphStore`, put together from the modules beside it.

Opens the transactions; what happens in them is said where it is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from memos.protocols import (
    Clock,
    EntityMention,
    GraphChange,
    NewEntity,
    Reading,
    Recorded,
)
from memos.storage.bulk import load, remove
from memos.storage.engine import Database
from memos.storage.graph import entities as nodes
from memos.storage.graph import feed, reads
from memos.storage.graph import readings as read
from memos.storage.graph import rulings as ruled
from memos.storage.graph.around import around
from memos.storage.graph.deriving import Deriver
from memos.storage.graph.edit import Edit, edit
from memos.storage.graph.records import (
    WIDE,
    named,
    predicate_of,
    predicate_row,
    text_or_none,
    type_of,
)
from memos.storage.records import micros
from memos.storage.tables import assertion, entity_type, predicate_type
from memos.types import Assertion, Entity, EntityType, Fact, Memory, PredicateType, Ruling

if TYPE_CHECKING:
    from memos.protocols import Vector

# Subjects whose facts are derived anew at a time.
_CHUNK = 2000


class SqlGraphStore:
    """`memos.protocols.GraphStore`."""

    def __init__(self, database: Database, *, deriver: Deriver, clock: Clock) -> None:
        self._db = database
        self._deriver = deriver
        self._clock = clock

    def record(
        self, cube_id: str, entities: Sequence[NewEntity], readings: Sequence[Reading]
    ) -> Recorded:
        with self._edit(cube_id) as opened:
            done = read.record(opened, self._deriver, entities, readings)
        self._db.grown(len(readings))
        return done

    def rule(self, ruling: Ruling) -> Ruling:
        with self._edit(ruling.cube_id) as opened:
            return ruled.rule(opened, self._deriver, ruling)

    def revoke(self, cube_id: str, ruling_id: str, *, at: datetime) -> Ruling:
        with self._edit(cube_id) as opened:
            return ruled.revoke(opened, self._deriver, ruling_id, at)

    def define(
        self,
        cube_id: str,
        *,
        predicate: PredicateType | None = None,
        type: EntityType | None = None,
    ) -> None:
        with self._edit(cube_id) as opened:
            if type is not None:
                row = (
                    cube_id,
                    named(type.name, "type"),
                    text_or_none(type.description, "description"),
                    type.parent,
                )
                remove(opened.connection, entity_type, cube_id, ("name",), [(type.name,)])
                load(opened.connection, entity_type, [row])
            if predicate is not None:
                own = predicate_row(cube_id, predicate)
                remove(opened.connection, predicate_type, cube_id, ("name",), [(predicate.name,)])
                load(opened.connection, predicate_type, [own])
                self._derive_anew(opened, predicate.name)

    def definitions(self, cube_id: str) -> tuple[tuple[PredicateType, ...], tuple[EntityType, ...]]:
        with self._db.read() as connection:
            predicates = connection.execute(
                predicate_type.select()
                .where(predicate_type.c.cube_id == cube_id)
                .order_by(predicate_type.c.name)
            ).all()
            types = connection.execute(
                entity_type.select()
                .where(entity_type.c.cube_id == cube_id)
                .order_by(entity_type.c.name)
            ).all()
        return tuple(predicate_of(row) for row in predicates), tuple(type_of(row) for row in types)

    def by_alias(self, cube_id: str, normals: Sequence[str]) -> dict[str, tuple[Entity, ...]]:
        with self._db.read() as connection:
            return nodes.named_so(connection, cube_id, normals)

    def entities(
        self,
        cube_id: str,
        ids: Sequence[str] | None = None,
        *,
        type: str | None = None,
        after: str | None = None,
        limit: int = 1000,
        known_as_of: datetime | None = None,
    ) -> list[Entity]:
        with self._db.read() as connection:
            if ids is not None:
                return nodes.by_ids(connection, cube_id, ids, known_as_of)
            return nodes.page(
                connection, cube_id, type=type, after=after, limit=limit, known_as_of=known_as_of
            )

    def entity_vectors(self, cube_id: str, type: str) -> tuple[list[str], Vector]:
        with self._db.read() as connection:
            return nodes.vectors(connection, cube_id, type)

    def facts(
        self,
        cube_id: str,
        *,
        ids: Sequence[str] = (),
        subjects: Sequence[str] = (),
        predicates: Sequence[str] = (),
        objects: Sequence[str] = (),
        values: Sequence[str] = (),
        touching: Sequence[str] = (),
        memories: Sequence[str] = (),
        as_of: datetime | None = None,
        known_as_of: datetime | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        min_confidence: float = 0.0,
        include_negated: bool = True,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[Fact]:
        with self._db.read() as connection:
            return reads.facts(
                connection,
                cube_id,
                self._deriver.rules.folded,
                ids=ids,
                subjects=subjects,
                predicates=predicates,
                objects=objects,
                values=values,
                touching=touching,
                memories=memories,
                view=reads.View(as_of, known_as_of),
                since=since,
                until=until,
                min_confidence=min_confidence,
                include_negated=include_negated,
                after=after,
                limit=limit,
            )

    def revisions(self, cube_id: str, fact_id: str) -> tuple[Fact, ...]:
        with self._db.read() as connection:
            return reads.revisions(connection, cube_id, fact_id)

    def assertions(self, cube_id: str, ids: Sequence[str]) -> list[Assertion]:
        with self._db.read() as connection:
            return reads.assertions(connection, cube_id, ids)

    def rulings(self, cube_id: str) -> list[Ruling]:
        with self._db.read() as connection:
            return ruled.every(connection, cube_id)

    def mentions(self, cube_id: str, memory_ids: Sequence[str]) -> dict[str, list[EntityMention]]:
        with self._db.read() as connection:
            return reads.mentions(connection, cube_id, memory_ids)

    def around(
        self,
        cube_id: str,
        entity_ids: Sequence[str],
        *,
        hops: int,
        as_of: datetime | None = None,
        known_as_of: datetime | None = None,
        limit: int = 1000,
        per_entity: int = 200,
    ) -> list[tuple[int, Fact]]:
        with self._db.read() as connection:
            return around(
                connection,
                cube_id,
                entity_ids,
                hops=hops,
                view=reads.View(as_of, known_as_of),
                limit=limit,
                per_entity=per_entity,
            )

    def unread(self, cube_id: str, extractor: str, *, limit: int) -> list[Memory]:
        return read.unread(self._db, cube_id, extractor, limit)

    def last(self, cube_id: str) -> int:
        with self._db.read() as connection:
            return feed.last(connection, cube_id)

    def changes(self, cube_id: str, *, after: int, limit: int = 5000) -> list[GraphChange]:
        with self._db.read() as connection:
            return feed.changes(connection, cube_id, after=after, limit=limit)

    def size(self, cube_id: str) -> tuple[int, int]:
        with self._db.read() as connection:
            return feed.size(connection, cube_id)

    @contextmanager
    def _edit(self, cube_id: str) -> Iterator[Edit]:
        with (
            self._db.write() as connection,
            edit(
                connection,
                cube_id,
                now=micros(self._clock()),
                rules=self._deriver.rules.version,
            ) as opened,
        ):
            yield opened

    def _derive_anew(self, opened: Edit, predicate: str) -> None:
        subjects = _subjects(opened.connection, opened.cube_id, predicate)
        for start in range(0, len(subjects), _CHUNK):
            part = subjects[start : start + _CHUNK]
            self._deriver.derive(opened, [(subject, predicate, WIDE) for subject in part])


def _subjects(connection: Connection, cube_id: str, predicate: str) -> list[str]:
    query = (
        assertion.select()
        .with_only_columns(assertion.c.subject_id)
        .where(assertion.c.cube_id == cube_id, assertion.c.predicate == predicate)
        .distinct()
        .order_by(assertion.c.subject_id)
    )
    return list(connection.execute(query).scalars())
