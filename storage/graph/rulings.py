"""Rulings in SQL: people's decisions over what was derived, applied and undone.

What was read is never rewritten: mentions and assertions keep the entity as it was resolved beside
the one that rulings make of it, so that revoking one is computing the second anew.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, update

from memos.errors import Conflict, InvalidInput, RulingNotFound, StateConflict
from memos.storage.bulk import change, load, matching
from memos.storage.graph import entities, reads
from memos.storage.graph.deriving import Deriver, Group
from memos.storage.graph.edit import Edit
from memos.storage.graph.records import END, NEWEST, WIDE, object_key, ruling_of, ruling_row
from memos.storage.records import micros
from memos.storage.tables import assertion, entity, fact, fact_source, mention, ruling
from memos.types import Ruling, RulingKind


def rule(edit: Edit, deriver: Deriver, item: Ruling) -> Ruling:
    """See `memos.protocols.GraphStore.rule`."""
    if item.kind is RulingKind.KEEP_OPEN:
        item, group = _kept_open(edit, item)
        load(edit.connection, ruling, [ruling_row(item)])
        deriver.derive(edit, [group])
        return item
    item = _merge(edit, item) if item.kind is RulingKind.MERGE else _split(edit, item)
    load(edit.connection, ruling, [ruling_row(item)])
    realign(edit, deriver, _ends(item))
    return item


def revoke(edit: Edit, deriver: Deriver, ruling_id: str, at: datetime) -> Ruling:
    """See `memos.protocols.GraphStore.revoke`."""
    held = {item.id: item for item in every(edit.connection, edit.cube_id)}
    if ruling_id not in held:
        raise RulingNotFound(f"there is no ruling {ruling_id!r} in this cube", ruling_id=ruling_id)
    item = held[ruling_id]
    if item.revoked_at is not None:
        raise StateConflict(f"ruling {ruling_id} was revoked at {item.revoked_at.isoformat()}")
    item = dataclasses.replace(item, revoked_at=at)
    edit.connection.execute(
        update(ruling)
        .where(ruling.c.cube_id == edit.cube_id, ruling.c.id == ruling_id)
        .values(revoked_at=micros(at))
    )
    if item.kind is RulingKind.KEEP_OPEN:
        deriver.derive(edit, _groups(edit, item.assertions))
    else:
        realign(edit, deriver, _ends(item), also=[item])
    return item


def every(connection: Connection, cube_id: str) -> list[Ruling]:
    """All rulings, the revoked ones included, by id."""
    query = ruling.select().where(ruling.c.cube_id == cube_id).order_by(ruling.c.id)
    return [ruling_of(row) for row in connection.execute(query)]


def _ends(item: Ruling) -> set[str]:
    return {item.source_id} | ({item.target_id} if item.target_id else set())


def _kept_open(edit: Edit, item: Ruling) -> tuple[Ruling, Group]:
    row = _newest(edit, item.source_id)
    closer = item.target_id or row[21]
    assertions = item.assertions
    if not assertions:
        if closer is None or row[20] != END:
            raise StateConflict(f"no other fact closes fact {item.source_id}")
        _newest(edit, closer)
        assertions = tuple(_supports(edit, [item.source_id, closer]))
    done = dataclasses.replace(item, target_id=closer, assertions=assertions)
    return done, (row[4], row[5], WIDE)


def _newest(edit: Edit, fact_id: str) -> Sequence[Any]:
    found = matching(edit.connection, fact, edit.cube_id, ("id",), [(fact_id,)], where=NEWEST)
    if not found:
        raise reads.fact_missing(fact_id)
    return found[0]


def _supports(edit: Edit, fact_ids: Sequence[str]) -> list[str]:
    rows = matching(
        edit.connection,
        fact_source,
        edit.cube_id,
        ("fact_id",),
        [(id,) for id in fact_ids],
        columns="assertion_id",
        where=f"expired_at = {END}",
    )
    return sorted({row[0] for row in rows})


def _groups(edit: Edit, assertion_ids: Iterable[str]) -> set[Group]:
    rows = matching(
        edit.connection,
        assertion,
        edit.cube_id,
        ("id",),
        [(id,) for id in assertion_ids],
        columns="subject_id, predicate",
    )
    return {(row[0], row[1], WIDE) for row in rows}


def _there(edit: Edit, ids: Iterable[str]) -> None:
    wanted = set(ids)
    for id in sorted(wanted - entities.standing(edit.connection, edit.cube_id, wanted).keys()):
        raise entities.entity_missing(id)


def _merge(edit: Edit, item: Ruling) -> Ruling:
    if item.target_id is None:
        raise InvalidInput("a merge needs the entity that the other goes into")
    _there(edit, (item.source_id, item.target_id))
    held = entities.merges(edit.connection, edit.cube_id)
    source, target = held.root(item.source_id), held.root(item.target_id)
    if source == target:
        raise Conflict(
            f"{item.source_id} and {item.target_id} are one entity already; a merge needs two",
            entity_id=target,
        )
    return dataclasses.replace(item, source_id=source)


def _split(edit: Edit, item: Ruling) -> Ruling:
    if item.target_id is None or not item.assertions:
        raise InvalidInput("a split needs the entity to move to, and the assertions that move")
    _there(edit, (item.source_id, item.target_id))
    held = entities.merges(edit.connection, edit.cube_id)
    if held.root(item.source_id) == held.root(item.target_id):
        raise Conflict(f"{item.source_id} can't be split into itself", entity_id=item.source_id)
    known = {one.id for one in reads.assertions(edit.connection, edit.cube_id, item.assertions)}
    missing = [id for id in item.assertions if id not in known]
    if missing:
        raise InvalidInput(f"there is no assertion {missing[0]!r} in this cube")
    return item


class _Meaning:
    """Which entity one stands for by the rulings that hold."""

    def __init__(self, rulings: Sequence[Ruling]) -> None:
        self.merges = entities.Merges(rulings)
        self.splits = [
            item
            for item in rulings
            if item.kind is RulingKind.SPLIT and item.revoked_at is None and item.target_id
        ]
        self.moved = {id for item in self.splits for id in item.assertions}

    def of(self, said: str, assertion_ids: Collection[str]) -> str:
        """Of an entity as some assertions say it, or as the memory that they are of names it."""
        now = said
        for item in self.splits:
            if not self.moved.isdisjoint(assertion_ids) and any(
                id in item.assertions for id in assertion_ids
            ):
                root = self.merges.root
                if item.target_id is not None and root(now) == root(item.source_id):
                    now = item.target_id
        return self.merges.root(now)


def realign(
    edit: Edit, deriver: Deriver, ids: Iterable[str], *, also: Sequence[Ruling] = ()
) -> None:
    """Brings what was said of these entities, and of all that rulings ever joined them with, to
    what the rulings that hold make of it, and derives the facts anew. `also`: rulings no longer
    stored, or revoked just now."""
    rulings = every(edit.connection, edit.cube_id)
    joined = connected(ids, [*rulings, *also])
    meaning = _Meaning(rulings)
    _stand(edit, joined, meaning)
    rows = matching(
        edit.connection,
        mention,
        edit.cube_id,
        ("entity_id",),
        [(id,) for id in sorted(joined)],
        columns="memory_id, said_id, entity_id",
    )
    memories = sorted({row[0] for row in rows})
    said = matching(
        edit.connection,
        assertion,
        edit.cube_id,
        ("memory_id",),
        [(id,) for id in memories],
        columns="id, memory_id, subject_id, said_subject_id, predicate, object_id, said_object_id,"
        " value, object_key, corrects",
    )
    of: dict[str, list[str]] = defaultdict(list)
    for row in said:
        of[row[1]].append(row[0])
    _move_mentions(edit, rows, meaning, of)
    deriver.derive(edit, _move_assertions(edit, deriver, said, meaning))


def connected(ids: Iterable[str], rulings: Sequence[Ruling]) -> set[str]:
    """These entities and all that merges and splits, also revoked ones, join them with."""
    near: dict[str, set[str]] = defaultdict(set)
    for item in rulings:
        if item.kind is not RulingKind.KEEP_OPEN and item.target_id is not None:
            near[item.source_id].add(item.target_id)
            near[item.target_id].add(item.source_id)
    found, left = set(ids), list(ids)
    while left:
        new = near[left.pop()] - found
        found |= new
        left += new
    return found


def _stand(edit: Edit, ids: set[str], meaning: _Meaning) -> None:
    rows = matching(
        edit.connection,
        entity,
        edit.cube_id,
        ("id",),
        [(id,) for id in sorted(ids)],
        columns="id, merged_into",
    )
    changed = []
    for id, merged_into in rows:
        root = meaning.merges.root(id)
        now = None if root == id else root
        if now != merged_into:
            changed.append((id, now, edit.number()))
    change(edit.connection, entity, edit.cube_id, ("id",), ("merged_into", "seq"), changed)


def _move_mentions(
    edit: Edit, rows: Sequence[Sequence[Any]], meaning: _Meaning, of: dict[str, list[str]]
) -> None:
    moved, before, after = [], set(), set()
    for memory_id, said_id, entity_id in rows:
        now = meaning.of(said_id, of[memory_id])
        after.add((memory_id, now))
        if now != entity_id:
            before.add((memory_id, entity_id))
            moved.append((memory_id, said_id, now, edit.number()))
    on = ("memory_id", "said_id")
    change(edit.connection, mention, edit.cube_id, on, ("entity_id", "seq"), moved)
    edit.gone("mention", [" ".join(pair) for pair in sorted(before - after)])


def _move_assertions(
    edit: Edit, deriver: Deriver, rows: Sequence[Sequence[Any]], meaning: _Meaning
) -> set[Group]:
    moved, groups = [], set()
    for id, _, subject, said_subject, name, object_id, said_object, value, key, corrects in rows:
        subject_now = meaning.of(said_subject, [id])
        object_now = None if said_object is None else meaning.of(said_object, [id])
        if (subject_now, object_now) == (subject, object_id):
            continue
        key_now = WIDE if corrects else object_key(object_now, value, deriver.rules.folded)
        groups |= {(subject, name, key), (subject_now, name, key_now)}
        moved.append((id, subject_now, object_now, key_now))
    sets = ("subject_id", "object_id", "object_key")
    change(edit.connection, assertion, edit.cube_id, ("id",), sets, moved)
    return groups
