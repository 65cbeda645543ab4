"""The feed of the graph: nodes, edges and mentions that changed, in order and without gaps.

Knows change numbers; does not know who follows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, text

from memos.protocols import GraphChange
from memos.storage.bulk import matching
from memos.storage.cubes import cube_missing
from memos.storage.graph.records import ACTIVE, BEGINNING, END
from memos.storage.tables import (
    assertion,
    cube,
    entity,
    entity_alias,
    fact,
    fact_source,
    mention,
)

_COLUMNS = {
    "entity": "seq, id, name, type, merged_into",
    "fact": "seq, id, subject_id, predicate, object_id, value, negated, event, confidence,"
    " valid_at, invalid_at, expired_at",
    "mention": "seq, memory_id, entity_id",
    "graph_gone": "seq, kind, id",
}
_queries = {
    name: text(
        f"SELECT {columns} FROM {name} WHERE cube_id = :cube AND seq > :after AND seq <= :upto"
    )
    for name, columns in _COLUMNS.items()
}
_next = text(
    "SELECT min(seq) FROM ("
    + " UNION ALL ".join(
        f"SELECT min(seq) AS seq FROM {name} WHERE cube_id = :cube AND seq > :after"
        for name in _COLUMNS
    )
    + ") AS following"
)
_MENTIONING = ("mention", "graph_gone")


def last(connection: Connection, cube_id: str) -> int:
    number: int | None = connection.execute(
        select(cube.c.graph_seq).where(cube.c.id == cube_id)
    ).scalar()
    if number is None:
        raise cube_missing(cube_id)
    return number


def changes(connection: Connection, cube_id: str, *, after: int, limit: int) -> list[GraphChange]:
    """See `memos.protocols.GraphStore.changes`."""
    # Each statement sees what is committed when it starts. Up to a number that was read before all
    # of them, each sees everything, or has it with a later number.
    newest = last(connection, cube_id)
    rows: list[tuple[int, str, Any]] = []
    while not rows and after < newest:
        following = connection.execute(_next, {"cube": cube_id, "after": after}).scalar()
        if following is None or following > newest:
            break
        # Numbers are of one thing each: so many that no more than `limit` things have them.
        after, upto = following - 1, min(newest, following - 1 + limit)
        asked = {"cube": cube_id, "after": after, "upto": upto}
        for kind, query in _queries.items():
            rows += [(row[0], kind, row) for row in connection.execute(query, asked)]
        after = upto
    rows.sort(key=lambda item: item[0])
    aliases = _aliases(connection, cube_id, (row.id for _, kind, row in rows if kind == "entity"))
    believed = [row.id for _, kind, row in rows if kind == "fact" and row.expired_at == END]
    sources = _memories(connection, cube_id, believed)
    named = _named(connection, cube_id, [row for _, kind, row in rows if kind in _MENTIONING])
    found: dict[tuple[str, str], GraphChange] = {}
    for seq, kind, row in rows:
        if kind == "entity":
            change = _entity(seq, row, aliases)
        elif kind == "fact":
            change = _fact(seq, row, tuple(sources.get(row.id, ())))
        elif kind == "mention":
            change = _mention(seq, f"{row.memory_id} {row.entity_id}", named)
        elif row.kind == "mention":
            change = _mention(seq, row.id, named)
        else:
            change = GraphChange(seq, row.kind, row.id, True)
        # What is gone may have come again; the later number is how it is.
        found.pop((change.kind, change.id), None)
        found[change.kind, change.id] = change
    return list(found.values())


def _aliases(
    connection: Connection, cube_id: str, ids: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    keys = [(id,) for id in ids]
    for entity_id, normal in matching(
        connection, entity_alias, cube_id, ("entity_id",), keys, columns="entity_id, normal"
    ):
        found[entity_id].append(normal)
    return {id: tuple(sorted(names)) for id, names in found.items()}


def _memories(
    connection: Connection, cube_id: str, fact_ids: Sequence[str]
) -> dict[str, dict[str, None]]:
    """By fact, the memories that it rests on."""
    pairs = matching(
        connection,
        fact_source,
        cube_id,
        ("fact_id",),
        [(id,) for id in fact_ids],
        columns="fact_id, assertion_id",
        where=f"expired_at = {END}",
    )
    keys = sorted({(row[1],) for row in pairs})
    said = matching(connection, assertion, cube_id, ("id",), keys, columns="id, memory_id")
    memory_of = {row[0]: row[1] for row in said}
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for fact_id, assertion_id in sorted(map(tuple, pairs)):
        if assertion_id in memory_of:
            found[fact_id][memory_of[assertion_id]] = None
    return found


def _entity(seq: int, row: Any, aliases: dict[str, tuple[str, ...]]) -> GraphChange:
    return GraphChange(
        seq,
        "entity",
        row.id,
        False,
        name=row.name,
        type=row.type,
        aliases=aliases.get(row.id, ()),
        target_id=row.merged_into,
    )


def _fact(seq: int, row: Any, memory_ids: tuple[str, ...]) -> GraphChange:
    return GraphChange(
        seq,
        "fact",
        row.id,
        row.expired_at != END,
        name=row.predicate,
        subject_id=row.subject_id,
        target_id=row.object_id,
        value=row.value,
        negated=bool(row.negated),
        event=bool(row.event),
        confidence=row.confidence,
        valid_at=None if row.valid_at == BEGINNING else row.valid_at / 1e6,
        invalid_at=None if row.invalid_at == END else row.invalid_at / 1e6,
        memory_ids=memory_ids,
    )


def _named(connection: Connection, cube_id: str, rows: Sequence[Any]) -> set[str]:
    """Mentions that hold, among those of these memories: several entities that a memory names may
    stand for the same one, and not all of them hold."""
    memories = {getattr(row, "memory_id", None) or row.id.split(" ")[0] for row in rows}
    found = matching(
        connection,
        mention,
        cube_id,
        ("memory_id",),
        [(id,) for id in sorted(memories)],
        columns="memory_id, entity_id",
        where=f"active = {ACTIVE}",
    )
    return {f"{memory_id} {entity_id}" for memory_id, entity_id in found}


def _mention(seq: int, pair: str, named: set[str]) -> GraphChange:
    memory_id, entity_id = pair.split(" ")
    gone = pair not in named
    return GraphChange(seq, "mention", pair, gone, subject_id=memory_id, target_id=entity_id)


def size(connection: Connection, cube_id: str) -> tuple[int, int]:
    """(entities, present facts)."""
    nodes: Sequence[Any] = (entity.c.cube_id == cube_id, entity.c.merged_into.is_(None))
    edges: Sequence[Any] = (fact.c.cube_id == cube_id, fact.c.expired_at == END)
    return (
        connection.execute(select(func.count()).select_from(entity).where(*nodes)).scalar_one(),
        connection.execute(select(func.count()).select_from(fact).where(*edges)).scalar_one(),
    )
