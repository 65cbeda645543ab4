"""The surroundings of entities: breadth first over facts, hop by hop in SQL.

Reads at most so many facts of one entity, the most confident first, which the index has in this
order: a hub of a hundred thousand facts costs no more than an entity of a few hundred.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, TextClause, text

from memos.storage.graph.reads import View, built, expanded
from memos.storage.records import storable
from memos.types import Fact

# Entities looked at in one statement. SQLite reads the facts of all of them: few at first, then as
# many as are likely to be needed. PostgreSQL stops when it has enough.
_FEW = 8
_MANY = 256
_TWICE = 32
"""Facts that one statement may well find twice."""


def around(
    connection: Connection,
    cube_id: str,
    entity_ids: Sequence[str],
    *,
    hops: int,
    view: View,
    limit: int,
    per_entity: int,
) -> list[tuple[int, Fact]]:
    """See `memos.protocols.GraphStore.around`."""
    ring = expanded(connection, cube_id, [id for id in entity_ids if storable(id)], view.known)
    met = set(ring)
    distances: dict[str, int] = {}
    rows: list[Sequence[Any]] = []
    for distance in range(1, hops + 1):
        reached: dict[str | None, None] = {}
        start, size = 0, _FEW if connection.dialect.name == "sqlite" else _MANY
        while start < len(ring) and len(rows) < limit:
            part = ring[start : start + size]
            found, done = _facts(
                connection, cube_id, part, view, min(per_entity, limit), limit - len(rows)
            )
            for row in found:
                id = row[1]
                if id in distances:
                    continue
                distances[id] = distance
                rows.append(row)
                reached[row[4]] = reached[row[6]] = None
                if len(rows) == limit:
                    break
            start += done
            if connection.dialect.name == "sqlite":
                # As many as bring what is left, if those to come are like those so far.
                size = min(_MANY, max(_FEW, start * (limit - len(rows)) // max(1, len(rows))))
        ring = [id for id in reached if id is not None and id not in met]
        met.update(ring)
        if not ring or len(rows) >= limit:
            break
    facts = built(connection, cube_id, rows, sources=False)
    return [(distances[fact.id], fact) for fact in facts]


def _facts(
    connection: Connection,
    cube_id: str,
    ids: Sequence[str],
    view: View,
    bound: int,
    wanted: int,
) -> tuple[Sequence[Sequence[Any]], int]:
    """At most `bound` facts of each, entity by entity, the most confident first; those of two of
    them come twice. And of how many entities these are all: it may end where `wanted` facts should
    be there."""
    sqlite = connection.dialect.name == "sqlite"
    asked: dict[str, Any] = {**view.asked, "cube": cube_id, "bound": bound}
    asked["ids"] = json.dumps(list(ids), ensure_ascii=False)
    if not sqlite:
        # More than one entity can have, so that each statement gets further.
        asked["most"] = max(wanted + min(len(ids), _TWICE), bound + 1)
    rows = connection.execute(_statement(sqlite, tuple(view.parts)), asked).all()
    by_entity: dict[str, dict[str, Sequence[Any]]] = {id: {} for id in ids}
    for row in rows:
        by_entity[row[-1]][row[1]] = row
    found: list[Sequence[Any]] = []
    for of in by_entity.values():
        found += sorted(of.values(), key=lambda row: (row[14], row[3] or 0), reverse=True)[:bound]
    cut = not sqlite and len(rows) == asked["most"]
    return found, ids.index(rows[-1][-1]) if cut else len(ids)


@lru_cache(maxsize=8)
def _statement(sqlite: bool, views: tuple[str, ...]) -> TextClause:
    """Each of `views`, together all that was believed, is in order in the index."""
    ends = [(end, view) for end in ("subject_id", "object_id") for view in views]

    def of(end: str, view: str, wanted: str, columns: str) -> str:
        # A fact of an entity with itself comes by its subject alone.
        other = f" AND subject_id <> {wanted}" if end == "object_id" else ""
        return (
            f"SELECT {columns} FROM fact WHERE cube_id = :cube AND {end} = {wanted} AND {view}"
            f"{other} ORDER BY confidence DESC, seq DESC LIMIT :bound"
        )

    if sqlite:
        parts = (
            "SELECT fact.*, w.value FROM json_each(:ids) AS w CROSS JOIN fact"
            f" WHERE fact.rowid IN ({of(end, view, 'w.value', 'rowid')})"
            for end, view in ends
        )
        return text(" UNION ALL ".join(parts))
    every = " UNION ALL ".join(f"({of(end, view, 'w.id', '*')})" for end, view in ends)
    return text(
        "SELECT near.*, w.id FROM json_array_elements_text(CAST(:ids AS json)) AS w(id)"
        f" CROSS JOIN LATERAL (SELECT * FROM ({every}) AS ends"
        " ORDER BY confidence DESC, seq DESC LIMIT :bound) AS near LIMIT :most"
    )
