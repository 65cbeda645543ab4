"""Entities that nothing names any more, and names that nothing uses, go with an erased memory.

Knows who names what; what was said of entities is `erasure`'s.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from memos.storage.bulk import change, matching, remove
from memos.storage.graph import rulings
from memos.storage.graph.deriving import Deriver
from memos.storage.graph.edit import Edit
from memos.storage.graph.records import NEWEST, spans_of
from memos.storage.graph.revisions import join
from memos.storage.tables import entity, entity_alias, fact, ruling
from memos.types import Ruling, RulingKind


def forget(edit: Edit, deriver: Deriver, entity_id: str) -> None:
    """It goes if nothing names it any more, else those of its names that nothing uses."""
    held = rulings.every(edit.connection, edit.cube_id)
    near = sorted(rulings.connected([entity_id], held))
    if not _supported(edit, entity_id, near):
        about = [item for item in held if _is_about(item, entity_id)]
        remove(edit.connection, ruling, edit.cube_id, ("id",), [(item.id,) for item in about])
        for table, column in ((entity_alias, "entity_id"), (entity, "id")):
            there = matching(
                edit.connection, table, edit.cube_id, (column,), [(entity_id,)], columns=column
            )
            remove(edit.connection, table, edit.cube_id, (column,), [(entity_id,)])
        if there:
            edit.gone("entity", [entity_id])
        if about:
            rulings.realign(edit, deriver, set(near) - {entity_id}, also=about)
            _forget_past(edit, entity_id)
        return
    _forget_names(edit, entity_id, near)


def _forget_past(edit: Edit, entity_id: str) -> None:
    """Facts of others were believed of an entity that stood for them: in the past too they are now
    of what stands for them since it is gone."""
    for column in ("subject_id", "object_id"):
        key = [(entity_id,)]
        rows = matching(edit.connection, fact, edit.cube_id, (column,), key, columns="id, revision")
        newest = matching(
            edit.connection,
            fact,
            edit.cube_id,
            ("id",),
            sorted({(row[0],) for row in rows}),
            columns=f"id, {column}",
            where=NEWEST,
        )
        now = dict(map(tuple, newest))
        moved = [(id, n, now[id]) for id, n in rows if now[id] != entity_id]
        change(edit.connection, fact, edit.cube_id, ("id", "revision"), (column,), moved)
        join(edit, {id for id, *_ in moved})


def _is_about(item: Ruling, entity_id: str) -> bool:
    about = item.kind is not RulingKind.KEEP_OPEN
    return about and entity_id in (item.source_id, item.target_id)


_UNSUPPORTED = """
SELECT NOT EXISTS (SELECT 1 FROM mention WHERE cube_id = :cube AND entity_id {near}
  AND said_id = :id)
AND NOT EXISTS (SELECT 1 FROM ruling WHERE cube_id = :cube AND target_id = :id
  AND kind = 'split' AND revoked_at IS NULL)
"""


def _supported(edit: Edit, entity_id: str, near: Sequence[str]) -> bool:
    """Whether a memory names it, or did in a former reading, or a split was made for it."""
    asked = {"cube": edit.cube_id, "id": entity_id, "near": _list(edit, near)}
    query = text(_UNSUPPORTED.format(near=_in(edit, "near")))
    return not edit.connection.execute(query, asked).scalar()


def _forget_names(edit: Edit, entity_id: str, near: Sequence[str]) -> None:
    asked = {"cube": edit.cube_id, "id": entity_id, "near": _list(edit, near)}
    spoken = (
        f"FROM mention WHERE cube_id = :cube AND entity_id {_in(edit, 'near')}"
        " AND said_id = :id AND spans <> '[]'"
    )
    first = edit.connection.execute(
        text(f"SELECT spans {spoken} ORDER BY memory_id LIMIT 1"), asked
    ).scalar()
    if first is None:
        # Others assert something of it without saying where; by which name is not known.
        return
    found = "instr" if edit.connection.dialect.name == "sqlite" else "strpos"
    uses = text(f"SELECT 1 {spoken} AND {found}(spans, :needle) > 0 LIMIT 1")

    def used(name: str) -> bool:
        needle = json.dumps(name, ensure_ascii=False)
        return edit.connection.execute(uses, {**asked, "needle": needle}).scalar() is not None

    names = matching(
        edit.connection,
        entity_alias,
        edit.cube_id,
        ("entity_id",),
        [(entity_id,)],
        columns="normal",
    )
    unused = [(row[0], entity_id) for row in names if not used(row[0])]
    remove(edit.connection, entity_alias, edit.cube_id, ("normal", "entity_id"), unused)
    row = matching(edit.connection, entity, edit.cube_id, ("id",), [(entity_id,)], columns="name")
    if not row:
        return
    name = row[0][0] if used(row[0][0]) else _surface(first)
    if unused or name != row[0][0]:
        rows = [(entity_id, name, edit.number())]
        change(edit.connection, entity, edit.cube_id, ("id",), ("name", "seq"), rows)


def _surface(spans: str) -> str:
    """A name among the places of a mention; a pronoun only if there is nothing else."""
    places = spans_of(spans)
    return next((surface for surface, normal, *_ in places if normal), places[0][0])


def _list(edit: Edit, ids: Sequence[str]) -> Any:
    return json.dumps(list(ids)) if edit.connection.dialect.name == "sqlite" else list(ids)


def _in(edit: Edit, name: str) -> str:
    if edit.connection.dialect.name == "sqlite":
        return f"IN (SELECT value FROM json_each(:{name}))"
    return f"= ANY(CAST(:{name} AS text[]))"
