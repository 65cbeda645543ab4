"""Entities that nothing names any more, and names that nothing uses, go with an erased memory.

Knows who names what; what was said of entities is `erasure`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
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

# Mentions in which a name is looked for when an entity loses its own.
_LOOKED_AT = 50


def forget(edit: Edit, deriver: Deriver, ids: Iterable[str]) -> None:
    """Each goes if nothing names it any more, else those of its names that nothing uses."""
    held = rulings.every(edit.connection, edit.cube_id)
    ruled = {id for item in held for id in (item.source_id, item.target_id)}
    wanted = sorted(ids)
    alone = [id for id in wanted if id not in ruled]
    lost = _unnamed(edit, alone)
    _remove(edit, sorted(lost))
    for id in alone:
        if id not in lost:
            _forget_names(edit, id, [id])
    for id in wanted:
        if id in ruled:
            _forget_ruled(edit, deriver, id)


def _forget_ruled(edit: Edit, deriver: Deriver, entity_id: str) -> None:
    """Of an entity that rulings are about: they go with it."""
    held = rulings.every(edit.connection, edit.cube_id)
    near = sorted(rulings.connected([entity_id], held))
    if _supported(edit, entity_id, near):
        _forget_names(edit, entity_id, near)
        return
    about = [item for item in held if _is_about(item, entity_id)]
    remove(edit.connection, ruling, edit.cube_id, ("id",), [(item.id,) for item in about])
    _remove(edit, [entity_id])
    if about:
        rulings.realign(edit, deriver, set(near) - {entity_id}, also=about)
        _forget_past(edit, entity_id)


def _remove(edit: Edit, ids: Sequence[str]) -> None:
    keys = [(id,) for id in ids]
    there = matching(edit.connection, entity, edit.cube_id, ("id",), keys, columns="id")
    remove(edit.connection, entity_alias, edit.cube_id, ("entity_id",), keys)
    remove(edit.connection, entity, edit.cube_id, ("id",), keys)
    edit.gone("entity", [row[0] for row in there])


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
SELECT NOT EXISTS (SELECT 1 FROM mention WHERE cube_id = :cube AND entity_id IN {near}
  AND said_id = :id)
AND NOT EXISTS (SELECT 1 FROM ruling WHERE cube_id = :cube AND target_id = :id
  AND kind = 'split' AND revoked_at IS NULL)
"""
_UNNAMED = """
SELECT w.id FROM {ids} AS w WHERE NOT EXISTS
  (SELECT 1 FROM mention WHERE cube_id = :cube AND entity_id = w.id)
"""


def _unnamed(edit: Edit, ids: Sequence[str]) -> set[str]:
    """Those that no memory names, nor did in a former reading; of those that no ruling is about."""
    query = text(_UNNAMED.format(ids=_listed(edit, "ids")))
    asked = {"cube": edit.cube_id, "ids": json.dumps(list(ids))}
    return set(edit.connection.execute(query, asked).scalars())


def _supported(edit: Edit, entity_id: str, near: Sequence[str]) -> bool:
    """Whether a memory names it, or did in a former reading, or a split was made for it."""
    asked = {"cube": edit.cube_id, "id": entity_id, "near": json.dumps(list(near))}
    query = text(_UNSUPPORTED.format(near=_listed(edit, "near")))
    return not edit.connection.execute(query, asked).scalar()


def _forget_names(edit: Edit, entity_id: str, near: Sequence[str]) -> None:
    """`near`: what it may stand for."""
    spoken, asked = _spoken(edit, entity_id, near)
    first = text(f"SELECT spans {spoken} ORDER BY memory_id LIMIT {_LOOKED_AT}")
    spans = list(edit.connection.execute(first, asked).scalars())
    if not spans:
        # Others assert something of it without saying where; by which name is not known.
        return
    key = [(entity_id,)]
    names = matching(
        edit.connection, entity_alias, edit.cube_id, ("entity_id",), key, columns="normal"
    )
    own = matching(edit.connection, entity, edit.cube_id, ("id",), key, columns="name")
    unused = _unused(edit, spoken, asked, [row[0] for row in (*names, *own)])
    on = ("normal", "entity_id")
    gone = [(row[0], entity_id) for row in names if row[0] in unused]
    remove(edit.connection, entity_alias, edit.cube_id, on, gone)
    for (name,) in own:
        now = _surface(spans) if name in unused else name
        if gone or now != name:
            rows = [(entity_id, now, edit.number())]
            change(edit.connection, entity, edit.cube_id, ("id",), ("name", "seq"), rows)


def _spoken(edit: Edit, entity_id: str, near: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """SQL for the mentions in which it was said, where the text has it, and its parameters; by way
    of what it stands for, which is what is indexed. Left to itself SQLite walks along the ids of
    all memories of the cube, to have them in order."""
    said = "mention.cube_id = :cube AND said_id = :id AND spans <> '[]'"
    asked = {"cube": edit.cube_id, "id": entity_id}
    if list(near) == [entity_id]:
        return f"FROM mention WHERE {said} AND entity_id = :id", asked
    joined = f"FROM {_listed(edit, 'near')} AS n CROSS JOIN mention"
    asked["near"] = json.dumps(list(near))
    return f"{joined} WHERE {said} AND entity_id = n.id", asked


def _unused(edit: Edit, spoken: str, asked: dict[str, Any], names: Sequence[str]) -> set[str]:
    """Names that are in none of the mentions that are left."""
    found = "instr" if edit.connection.dialect.name == "sqlite" else "strpos"
    # As they are written in the JSON of places.
    needles = {json.dumps(name, ensure_ascii=False): name for name in names}
    query = text(
        f"SELECT w.id FROM {_listed(edit, 'needles')} AS w"
        f" WHERE NOT EXISTS (SELECT 1 {spoken} AND {found}(spans, w.id) > 0)"
    )
    rows = edit.connection.execute(query, {**asked, "needles": json.dumps(list(needles))})
    return {needles[needle] for needle in rows.scalars()}


def _surface(spans: Sequence[str]) -> str:
    """A name in the mentions; a pronoun only if there is nothing else."""
    places = [place for text in spans for place in spans_of(text)]
    return next((surface for surface, normal, *_ in places if normal), places[0][0])


def _listed(edit: Edit, name: str) -> str:
    """A table of one column `id` from a parameter that is a JSON list."""
    if edit.connection.dialect.name == "sqlite":
        return f"(SELECT value AS id FROM json_each(:{name}))"
    return f"(SELECT json_array_elements_text(CAST(:{name} AS json)) AS id)"
