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
from memos.storage.graph.reads import sources_of
from memos.storage.graph.records import ACTIVE, BEGINNING, END
from memos.storage.tables import cube, entity, entity_alias, fact, graph_gone, mention

_TABLES = {"entity": entity, "fact": fact, "mention": mention, "gone": graph_gone}
_MENTIONING = ("mention", "gone")
_queries = {
    name: text(
        f"SELECT * FROM {table.name} WHERE cube_id = :cube AND seq > :after AND seq <= :last"
        " ORDER BY seq LIMIT :limit"
    )
    for name, table in _TABLES.items()
}


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
    asked = {"cube": cube_id, "after": after, "last": last(connection, cube_id), "limit": limit}
    rows = [
        (row.seq, kind, row)
        for kind, query in _queries.items()
        for row in connection.execute(query, asked)
    ]
    rows = sorted(rows, key=lambda item: item[0])[:limit]
    aliases = _aliases(connection, cube_id, (row.id for _, kind, row in rows if kind == "entity"))
    facts = {row.id for _, kind, row in rows if kind == "fact" and row.expired_at == END}
    sources = sources_of(connection, cube_id, facts, None) if facts else {}
    named = _named(connection, cube_id, [row for _, kind, row in rows if kind in _MENTIONING])
    found: dict[tuple[str, str], GraphChange] = {}
    for seq, kind, row in rows:
        if kind == "entity":
            change = _entity(seq, row, aliases)
        elif kind == "fact":
            memories = dict.fromkeys(source.memory_id for source in sources.get(row.id, ()))
            change = _fact(seq, row, tuple(memories))
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
