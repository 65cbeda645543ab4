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

# Entities looked at in one statement: few at first, then as many as are likely to be needed.
_FEW = 8
_MANY = 256


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
    found: dict[str, tuple[int, Sequence[Any]]] = {}
    for distance in range(1, hops + 1):
        reached: dict[str, None] = {}
        start, size = 0, _FEW
        while start < len(ring) and len(found) < limit:
            for row in _facts(connection, cube_id, ring[start : start + size], view, per_entity):
                if len(found) < limit and row[1] not in found:
                    found[row[1]] = (distance, row)
                    reached.update((id, None) for id in (row[4], row[6]) if id is not None)
            start += size
            # As many as bring what is left, if those to come are like those so far.
            size = min(_MANY, max(_FEW, start * (limit - len(found)) // max(1, len(found))))
        ring = [id for id in reached if id not in met]
        met.update(ring)
        if not ring or len(found) >= limit:
            break
    facts = built(connection, cube_id, [row for _, row in found.values()], sources=False)
    return [(found[fact.id][0], fact) for fact in facts]


def _facts(
    connection: Connection, cube_id: str, ids: Sequence[str], view: View, per_entity: int
) -> list[Sequence[Any]]:
    """At most `per_entity` facts of each, entity by entity, the most confident first."""
    sqlite = connection.dialect.name == "sqlite"
    asked: dict[str, Any] = {**view.asked, "cube": cube_id, "bound": per_entity}
    asked["ids"] = json.dumps(list(ids), ensure_ascii=False)
    rows = connection.execute(_statement(sqlite, view.sql), asked).all()
    by_entity: dict[str, list[Sequence[Any]]] = {id: [] for id in ids}
    for row in rows:
        by_entity[row[-1]].append(row)
    found: list[Sequence[Any]] = []
    for of in by_entity.values():
        of.sort(key=lambda row: (row[14], row[3] or 0), reverse=True)
        seen = list({row[1]: row for row in of}.values())
        found += seen[:per_entity]
    return found


@lru_cache(maxsize=8)
def _statement(sqlite: bool, view: str) -> TextClause:
    def of(end: str, wanted: str, columns: str) -> str:
        return (
            f"SELECT {columns} FROM fact WHERE cube_id = :cube AND {end} = {wanted} AND {view}"
            " ORDER BY confidence DESC, seq DESC LIMIT :bound"
        )

    if sqlite:
        parts = (
            f"SELECT fact.*, w.value FROM json_each(:ids) AS w CROSS JOIN fact"
            f" WHERE fact.rowid IN ({of(end, 'w.value', 'rowid')})"
            for end in ("subject_id", "object_id")
        )
        return text(" UNION ALL ".join(parts))
    both = " UNION ALL ".join(f"({of(end, 'w.id', '*')})" for end in ("subject_id", "object_id"))
    return text(
        "SELECT near.*, w.id FROM json_array_elements_text(CAST(:ids AS json)) AS w(id)"
        f" CROSS JOIN LATERAL (SELECT * FROM ({both}) AS ends"
        " ORDER BY confidence DESC, seq DESC LIMIT :bound) AS near"
    )
