"""Facts as seen from two times: one indexed SELECT for the rows, one each for names and sources.

Knows how a view is asked for in SQL; nothing of how the facts came about.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from memos.errors import FactNotFound
from memos.protocols import EntityMention
from memos.storage.bulk import matching
from memos.storage.graph import entities
from memos.storage.graph.records import (
    END,
    assertion_of,
    fact_of,
    spans_of,
    value_key,
)
from memos.storage.records import micros, moment, storable
from memos.storage.tables import assertion, fact, fact_source, mention
from memos.types import Assertion, Fact, FactSource


@dataclass
class View:
    """Conditions on rows of `fact` for a look from two times, and their parameters."""

    as_of: datetime | None
    known_as_of: datetime | None
    parts: list[str] = field(default_factory=list)
    """SQL conditions that exclude one another; a row is in the view if one of them holds."""
    asked: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Equality with the end where that serves: then an index stays in order behind it.
        self.asked = {"end": END}
        if self.known_as_of is None:
            self.parts = ["expired_at = :end"]
        else:
            self.parts = [
                "expired_at = :end AND created_at <= :known",
                "expired_at > :known AND expired_at < :end AND created_at <= :known",
            ]
            self.asked["known"] = micros(self.known_as_of)
        if self.as_of is not None:
            self.parts = [
                f"{part} AND valid_at <= :as_of AND invalid_at > :as_of" for part in self.parts
            ]
            self.asked["as_of"] = micros(self.as_of)

    @property
    def sql(self) -> str:
        """All of it as one condition."""
        known = "expired_at = :end"
        if self.known_as_of is not None:
            known = "expired_at > :known AND created_at <= :known"
        return known + (" AND valid_at <= :as_of AND invalid_at > :as_of" if self.as_of else "")

    @property
    def known(self) -> int | None:
        return None if self.known_as_of is None else int(self.asked["known"])


def expanded(
    connection: Connection, cube_id: str, ids: Sequence[str], known: int | None
) -> list[str]:
    """What stood for these entities then."""
    if known is None:
        roots = entities.standing(connection, cube_id, ids)
        return sorted({roots.get(id, id) for id in ids})
    held = entities.merges(connection, cube_id, known)
    return sorted({held.root(id) for id in ids})


# The page drives the look-ups, as in `memos.storage.bulk`.
_OF_PAGE = {
    "postgresql": "LATERAL (SELECT * FROM fact WHERE cube_id = :cube AND id = page.id"
    " AND revision = page.revision OFFSET 0) AS found",
    "sqlite": "fact AS found ON found.cube_id = :cube AND found.id = page.id"
    " AND found.revision = page.revision",
}


def facts(
    connection: Connection,
    cube_id: str,
    folded: Callable[[str], str],
    *,
    ids: Sequence[str],
    subjects: Sequence[str],
    predicates: Sequence[str],
    objects: Sequence[str],
    values: Sequence[str],
    touching: Sequence[str],
    memories: Sequence[str],
    view: View,
    since: datetime | None,
    until: datetime | None,
    min_confidence: float,
    include_negated: bool,
    after: str | None,
    limit: int,
) -> list[Fact]:
    """See `memos.protocols.GraphStore.facts`."""
    where = ["cube_id = :cube", view.sql]
    asked: dict[str, Any] = {"cube": cube_id, "limit": limit, **view.asked}
    listed = _Lists(connection, asked)
    if ids:
        where.append(listed.has("id", ids))
    for column, given in (("subject_id", subjects), ("object_id", objects)):
        if given:
            where.append(listed.has(column, expanded(connection, cube_id, given, view.known)))
    if touching:
        both = expanded(connection, cube_id, touching, view.known)
        where.append(f"({listed.has('subject_id', both)} OR {listed.has('object_id', both)})")
    if values:
        where.append(listed.has("value_key", [value_key(folded(value)) for value in values]))
    if memories:
        where.append(listed.has("id", _of_memories(connection, cube_id, memories, view)))
    driven = len(where) > 2
    if predicates:
        where.append(listed.has("predicate", predicates))
    where += _window(since, until, asked)
    if min_confidence > 0:
        where.append("confidence >= :least")
        asked["least"] = min_confidence
    if not include_negated:
        where.append("negated = 0")
    if after is not None:
        where.append("id > :after")
        asked["after"] = after
    conditions = " AND ".join(where)
    ordered = len(subjects) == len(predicates) == 1 and view.known is None
    if driven and not ordered:
        # Found first and sorted then: walking the ids in their order could read the whole cube.
        query = (
            f"WITH hit AS MATERIALIZED (SELECT id, revision FROM fact WHERE {conditions}),"
            " page AS MATERIALIZED (SELECT id, revision FROM hit ORDER BY id LIMIT :limit)"
            f" SELECT found.* FROM page CROSS JOIN {_OF_PAGE[connection.dialect.name]}"
            " ORDER BY found.id"
        )
    else:
        query = f"SELECT * FROM fact WHERE {conditions} ORDER BY id LIMIT :limit"
    rows = connection.execute(text(query), asked).all()
    if values:
        wanted = {folded(value) for value in values}
        rows = [row for row in rows if folded(row[7]) in wanted]
    return built(connection, cube_id, rows, at=view.known)


def _window(since: datetime | None, until: datetime | None, asked: dict[str, Any]) -> list[str]:
    """An event counts when it happened; what is so, as long as it is."""
    parts = []
    if since is not None:
        parts.append("invalid_at > :since AND (event = 0 OR valid_at >= :since)")
        asked["since"] = micros(since)
    if until is not None:
        parts.append("valid_at < :until")
        asked["until"] = micros(until)
    return parts


class _Lists:
    """Lists of values as conditions, the way that each database takes them."""

    def __init__(self, connection: Connection, asked: dict[str, Any]) -> None:
        self._sqlite = connection.dialect.name == "sqlite"
        self._asked = asked

    def has(self, column: str, values: Sequence[Any]) -> str:
        wanted: Any = [value for value in values if not isinstance(value, str) or storable(value)]
        name = f"list{len(self._asked)}"
        if len(wanted) == 1:
            # An index stays in order behind what is equal to one value.
            self._asked[name] = wanted[0]
            return f"{column} = :{name}"
        if self._sqlite:
            self._asked[name] = json.dumps(wanted)
            return f"{column} IN (SELECT value FROM json_each(:{name}))"
        self._asked[name] = wanted
        kind = "bigint" if column == "value_key" else "text"
        return f"{column} = ANY(CAST(:{name} AS {kind}[]))"


def _of_memories(
    connection: Connection, cube_id: str, memories: Sequence[str], view: View
) -> list[str]:
    """Ids of the facts that memories supported then."""
    said = matching(
        connection,
        assertion,
        cube_id,
        ("memory_id",),
        [(id,) for id in dict.fromkeys(memories)],
        columns="id",
    )
    return sorted(
        {row[0] for row in _sources(connection, cube_id, "assertion_id", said, view.known)}
    )


def _sources(
    connection: Connection,
    cube_id: str,
    end: str,
    keys: Iterable[Sequence[Any]],
    known: int | None,
) -> Sequence[Sequence[Any]]:
    """(fact id, assertion id) of what facts rested on at a time (None: rest on now)."""
    where = (
        "expired_at = :known" if known is None else "expired_at > :known AND created_at <= :known"
    )
    return matching(
        connection,
        fact_source,
        cube_id,
        (end,),
        [(key[0],) for key in keys],
        columns="fact_id, assertion_id",
        where=where,
        known=END if known is None else known,
    )


def built(
    connection: Connection,
    cube_id: str,
    rows: Sequence[Sequence[Any]],
    *,
    at: int | None = None,
    sources: bool = True,
) -> list[Fact]:
    """Facts from rows of `fact`, in their order, with what they rested on at a time; without those
    whose entities were erased since the rows were read."""
    named = {row[4] for row in rows} | {row[6] for row in rows if row[6] is not None}
    names = entities.refs(connection, cube_id, named)
    of: dict[str, tuple[FactSource, ...]] = {}
    if sources and rows:
        of = sources_of(connection, cube_id, {row[1] for row in rows}, at)
    return [
        fact_of(row, names, of.get(row[1], ()))
        for row in rows
        if row[4] in names and (row[6] is None or row[6] in names)
    ]


def sources_of(
    connection: Connection, cube_id: str, fact_ids: Iterable[str], at: int | None
) -> dict[str, tuple[FactSource, ...]]:
    """By fact, the earliest stated first."""
    pairs = _sources(connection, cube_id, "fact_id", [(id,) for id in sorted(fact_ids)], at)
    said = {
        row[0]: row
        for row in matching(
            connection,
            assertion,
            cube_id,
            ("id",),
            sorted({(row[1],) for row in pairs}),
            columns="id, memory_id, span_start, span_end, extractor, confidence, stated_at",
        )
    }
    found: dict[str, list[FactSource]] = defaultdict(list)
    for fact_id, assertion_id in pairs:
        row = said.get(assertion_id)
        if row is not None:
            found[fact_id].append(
                FactSource(
                    assertion_id=row[0],
                    memory_id=row[1],
                    start=row[2],
                    end=row[3],
                    extractor=row[4],
                    confidence=row[5],
                    stated_at=moment(row[6]),
                )
            )
    return {
        id: tuple(sorted(items, key=lambda item: (item.stated_at, item.assertion_id)))
        for id, items in found.items()
    }


def revisions(connection: Connection, cube_id: str, fact_id: str) -> tuple[Fact, ...]:
    """All revisions with what each rested on at its end, oldest first."""
    rows = matching(connection, fact, cube_id, ("id",), [(fact_id,)])
    if not rows:
        raise fact_missing(fact_id)
    found = []
    for row in sorted(rows, key=lambda row: int(row[2])):
        at = None if row[20] == END else max(row[19], row[20] - 1)
        found += built(connection, cube_id, [row], at=at)
    return tuple(found)


def fact_missing(fact_id: str) -> FactNotFound:
    return FactNotFound(f"there is no fact {fact_id!r} in this cube", fact_id=fact_id)


def assertions(connection: Connection, cube_id: str, ids: Sequence[str]) -> list[Assertion]:
    """Those that are there, in the order of `ids`."""
    rows = matching(connection, assertion, cube_id, ("id",), [(id,) for id in dict.fromkeys(ids)])
    by_id = {row[1]: assertion_of(row) for row in rows}
    return [by_id[id] for id in dict.fromkeys(ids) if id in by_id]


def mentions(
    connection: Connection, cube_id: str, memory_ids: Sequence[str]
) -> dict[str, list[EntityMention]]:
    """Of active memories, by memory, in the order of the text."""
    found: dict[str, list[EntityMention]] = defaultdict(list)
    for memory_id, entity_id, spans in matching(
        connection,
        mention,
        cube_id,
        ("memory_id",),
        [(id,) for id in dict.fromkeys(memory_ids)],
        columns="memory_id, entity_id, spans",
        where="active = 1",
    ):
        places = spans_of(spans) or [("", "", 0, 0)]
        found[memory_id] += [EntityMention(entity_id, *place) for place in places]
    for items in found.values():
        items.sort(key=lambda item: (item.start, item.end, item.entity_id))
    return dict(found)
