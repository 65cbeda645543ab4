"""Entities in SQL: their names, what stands for what, and how one is found or made.

Knows the tables of entities and their aliases, and how often they are named; nothing of how a name
is recognised as one of them.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Connection, text

from memos.errors import EntityNotFound
from memos.protocols import NewEntity
from memos.storage.bulk import by_ids as rows_by_ids
from memos.storage.bulk import change, load, matching
from memos.storage.graph.edit import Edit
from memos.storage.graph.records import END, named, ruling_of
from memos.storage.records import micros, moment, storable, vector_bytes, vector_of
from memos.storage.tables import entity, entity_alias, ruling
from memos.types import Entity, EntityRef, Ruling, RulingKind

if TYPE_CHECKING:
    from memos.protocols import Vector

_COLUMNS = "id, name, type, merged_into, created_at"


def entity_missing(entity_id: str) -> EntityNotFound:
    return EntityNotFound(f"there is no entity {entity_id!r} in this cube", entity_id=entity_id)


def make(edit: Edit, wanted: Sequence[NewEntity]) -> dict[str, str]:
    """Makes those that are not there yet; the id that each got. The cube's lock, which the caller
    holds, keeps two writers from making the same one."""
    normals = sorted({(new.normal,) for new in wanted if new.normal})
    aliases = matching(
        edit.connection,
        entity_alias,
        edit.cube_id,
        ("normal",),
        normals,
        columns="normal, entity_id",
    )
    known = _rows(edit.connection, edit.cube_id, {row[1] for row in aliases})
    known |= _rows(edit.connection, edit.cube_id, {row[3] for row in known.values() if row[3]})
    found: dict[tuple[str, str], str] = {}
    for normal, entity_id in sorted(map(tuple, aliases), reverse=True):
        # The least id wins; an entity goes by its own type and by that of what stands for it.
        row = known[entity_id]
        found[normal, row[2]] = entity_id
        if row[3] is not None:
            found[normal, known[row[3]][2]] = entity_id
    got: dict[str, str] = {}
    made: list[tuple[Any, ...]] = []
    names: list[tuple[Any, ...]] = []
    for new in wanted:
        key = (named(new.normal, "name"), named(new.type, "type"))
        if new.normal and key in found:
            got[new.id] = found[key]
            continue
        found[key] = got[new.id] = new.id
        vector = None if new.vector is None else vector_bytes(new.vector)
        made.append(
            (
                edit.cube_id,
                new.id,
                edit.number(),
                named(new.name, "name"),
                new.type,
                None,
                vector,
                edit.now,
            )
        )
        if new.normal:
            names.append((edit.cube_id, new.normal, new.id, edit.now))
    if made:
        load(edit.connection, entity, made)
        load(edit.connection, entity_alias, names)
    return got


def add_aliases(edit: Edit, wanted: set[tuple[str, str]]) -> None:
    """Of (normal, entity id): those that are not there yet."""
    keys = sorted((named(normal, "name"), id) for normal, id in wanted if normal)
    on = ("normal", "entity_id")
    there = matching(
        edit.connection, entity_alias, edit.cube_id, on, keys, columns="normal, entity_id"
    )
    new = sorted(set(keys) - {(row[0], row[1]) for row in there})
    if not new:
        return
    load(
        edit.connection, entity_alias, [(edit.cube_id, normal, id, edit.now) for normal, id in new]
    )
    stamp(edit, {id for _, id in new})


def stamp(edit: Edit, ids: Iterable[str]) -> None:
    """Tells followers of the feed that these changed."""
    rows = [(id, edit.number()) for id in sorted(ids)]
    change(edit.connection, entity, edit.cube_id, ("id",), ("seq",), rows)


def standing(connection: Connection, cube_id: str, ids: Iterable[str]) -> dict[str, str]:
    """What stands for each of these entities; those that are not there are left out."""
    rows = _rows(connection, cube_id, set(ids), "id, merged_into")
    return {id: row[1] or id for id, row in rows.items()}


def _rows(
    connection: Connection, cube_id: str, ids: Iterable[str], columns: str = _COLUMNS
) -> dict[str, Sequence[Any]]:
    keys = sorted((id,) for id in ids)
    rows = matching(connection, entity, cube_id, ("id",), keys, columns=columns)
    return {row[0]: row for row in rows}


def refs(connection: Connection, cube_id: str, ids: Iterable[str]) -> dict[str, EntityRef]:
    """Entities as facts name them."""
    rows = rows_by_ids(connection, entity, cube_id, sorted(ids), columns="id, name, type")
    return {id: EntityRef(id=id, name=name, type=type) for id, name, type in rows}


class Merges:
    """What stands for what by the merges that hold at a time (microseconds; None: now)."""

    def __init__(self, rulings: Iterable[Ruling], at: int | None = None) -> None:
        self._into = {
            item.source_id: item.target_id
            for item in rulings
            if item.kind is RulingKind.MERGE and item.target_id is not None and _holds(item, at)
        }

    def root(self, entity_id: str) -> str:
        while entity_id in self._into:
            entity_id = self._into[entity_id]
        return entity_id

    def members(self, roots: Iterable[str]) -> dict[str, list[str]]:
        """The merged entities that each of `roots` stands for."""
        wanted = set(roots)
        found: dict[str, list[str]] = defaultdict(list)
        for source in sorted(self._into):
            root = self.root(source)
            if root in wanted:
                found[root].append(source)
        return found


def _holds(item: Ruling, at: int | None) -> bool:
    if at is None:
        return item.revoked_at is None
    return micros(item.created_at) <= at and (
        item.revoked_at is None or micros(item.revoked_at) > at
    )


def merges(connection: Connection, cube_id: str, at: int | None = None) -> Merges:
    query = ruling.select().where(
        ruling.c.cube_id == cube_id, ruling.c.kind == RulingKind.MERGE.value
    )
    return Merges((ruling_of(row) for row in connection.execute(query)), at)


def named_so(
    connection: Connection, cube_id: str, normals: Sequence[str]
) -> dict[str, tuple[Entity, ...]]:
    """Entities by alias: what stands for those that go by it."""
    keys = sorted({(normal,) for normal in normals})
    rows = matching(
        connection, entity_alias, cube_id, ("normal",), keys, columns="normal, entity_id"
    )
    roots = standing(connection, cube_id, {row[1] for row in rows})
    known = {item.id: item for item in _entities(connection, cube_id, set(roots.values()), None)}
    found: dict[str, dict[str, Entity]] = defaultdict(dict)
    for normal, entity_id in sorted(map(tuple, rows)):
        item = known.get(roots.get(entity_id, ""))
        if item is not None:
            found[normal][item.id] = item
    return {normal: tuple(items[id] for id in sorted(items)) for normal, items in found.items()}


def by_ids(
    connection: Connection, cube_id: str, ids: Sequence[str], known_as_of: datetime | None
) -> list[Entity]:
    at = None if known_as_of is None else micros(known_as_of)
    found = _entities(connection, cube_id, set(ids), at)
    counts = _counts(connection, cube_id, [item.id for item in found], at)
    by_id = {item.id: _counted(item, counts) for item in found}
    return [by_id[id] for id in dict.fromkeys(ids) if id in by_id]


def page(
    connection: Connection,
    cube_id: str,
    *,
    type: str | None,
    after: str | None,
    limit: int,
    known_as_of: datetime | None,
) -> list[Entity]:
    """Of those that stand for themselves, by id."""
    at = None if known_as_of is None else micros(known_as_of)
    held = merges(connection, cube_id, at)
    found: list[str] = []
    query = entity.select().with_only_columns(entity.c.id).where(entity.c.cube_id == cube_id)
    if type is not None:
        query = query.where(entity.c.type == type)
    if at is not None:
        query = query.where(entity.c.created_at <= at)
    query = query.order_by(entity.c.id).limit(limit)
    while len(found) < limit:
        asked = query if after is None else query.where(entity.c.id > after)
        rows = connection.execute(asked).scalars().all()
        if not rows:
            break
        after = rows[-1]
        found += [id for id in rows if held.root(id) == id]
    return by_ids(connection, cube_id, found[:limit], known_as_of)


def _entities(connection: Connection, cube_id: str, ids: set[str], at: int | None) -> list[Entity]:
    rows = _rows(connection, cube_id, ids)
    if not rows:
        return []
    held = merges(connection, cube_id, at)
    members = held.members(rows)
    keys = sorted({(id,) for id in rows} | {(id,) for of in members.values() for id in of})
    aliases: dict[str, set[str]] = defaultdict(set)
    for entity_id, normal, created_at in matching(
        connection,
        entity_alias,
        cube_id,
        ("entity_id",),
        keys,
        columns="entity_id, normal, created_at",
    ):
        if at is None or created_at <= at:
            aliases[entity_id].add(normal)
    found = []
    for id, row in sorted(rows.items()):
        if at is not None and row[4] > at:
            continue
        names = set(aliases[id]).union(*(aliases[member] for member in members.get(id, ())))
        root = held.root(id)
        found.append(
            Entity(
                id=id,
                cube_id=cube_id,
                name=row[1],
                type=row[2],
                aliases=tuple(sorted(names)),
                merged_into=None if root == id else root,
                created_at=moment(row[4]),
            )
        )
    return found


def _counts(
    connection: Connection, cube_id: str, ids: Sequence[str], at: int | None
) -> dict[str, tuple[int, int]]:
    if not ids:
        return {}
    view = "expired_at = :end" if at is None else "created_at <= :at AND expired_at > :at"
    sqlite = connection.dialect.name == "sqlite"
    wanted = (
        "(SELECT value AS id FROM json_each(:ids))"
        if sqlite
        else "(SELECT unnest(CAST(:ids AS text[])) AS id)"
    )
    facts = " + ".join(
        f"(SELECT count(*) FROM fact WHERE cube_id = :cube AND {end} = w.id AND {view})"
        for end in ("subject_id", "object_id")
    )
    query = text(
        "SELECT w.id, (SELECT count(*) FROM mention WHERE cube_id = :cube AND entity_id = w.id"
        f" AND active = 1), {facts} FROM {wanted} AS w"
    )
    keys: Any = [id for id in ids if storable(id)]
    if sqlite:
        keys = json.dumps(keys)
    asked: dict[str, Any] = {"cube": cube_id, "ids": keys}
    asked.update({"end": END} if at is None else {"at": at})
    return {row[0]: (row[1], row[2]) for row in connection.execute(query, asked)}


def _counted(item: Entity, counts: Mapping[str, tuple[int, int]]) -> Entity:
    mentions, facts = counts.get(item.id, (0, 0))
    return dataclasses.replace(item, mentions=mentions, facts=facts)


def vectors(connection: Connection, cube_id: str, type: str) -> tuple[list[str], Vector]:
    """Of those of a type that stand for themselves."""
    query = (
        entity.select()
        .with_only_columns(entity.c.id, entity.c.vector)
        .where(
            entity.c.cube_id == cube_id,
            entity.c.type == type,
            entity.c.merged_into.is_(None),
            entity.c.vector.is_not(None),
        )
        .order_by(entity.c.id)
    )
    rows = connection.execute(query).all()
    if not rows:
        return [], np.zeros((0, 0), dtype=np.float32)
    # Of another model than the newest, if the model was changed: of no use beside the others.
    width = len(rows[-1][1])
    rows = [row for row in rows if len(row[1]) == width]
    return [row[0] for row in rows], np.stack([vector_of(row[1]) for row in rows])
