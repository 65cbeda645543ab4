"""What the verbs of the graph send and how their answers are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from memos.client.bodies import (
    Query,
    cube_path,
    given,
    idempotency,
    json_body,
    paging,
    reader,
    segment,
    times,
)
from memos.client.requests.facts import fact_path
from memos.client.requests.request import Request
from memos.types import (
    Entity,
    EntityType,
    Fact,
    GraphDiff,
    Neighbour,
    Page,
    Path,
    PredicateType,
    Ruling,
    Vocabulary,
)

# Entities


def entities(
    *,
    text: str | None,
    type: str | None,
    cube: str,
    known_as_of: datetime | None,
    cursor: str | None,
    limit: int,
) -> Request[Page[Entity]]:
    query: Query = list(given({"text": text, "type": type}).items())
    return Request(
        method="GET",
        path=f"{cube_path(cube)}/entities",
        query=query + times(known_as_of=known_as_of) + paging(cursor, limit),
        read=reader(Page[Entity]),
    )


def entity(entity: str, *, cube: str, known_as_of: datetime | None) -> Request[Entity]:
    return Request(
        method="GET",
        path=_entity_path(cube, entity),
        query=times(known_as_of=known_as_of),
        read=reader(Entity),
    )


def timeline(
    entity: str,
    *,
    predicate: str | None,
    cube: str,
    known_as_of: datetime | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
) -> Request[tuple[Fact, ...]]:
    query: Query = list(given({"predicate": predicate}).items())
    query += times(known_as_of=known_as_of, since=since, until=until)
    return Request(
        method="GET",
        path=f"{_entity_path(cube, entity)}/timeline",
        query=query + paging(None, limit),
        read=reader(tuple[Fact, ...]),
    )


def neighbours(
    entity: str,
    *,
    hops: int,
    cube: str,
    as_of: datetime | None,
    known_as_of: datetime | None,
    limit: int,
) -> Request[tuple[Neighbour, ...]]:
    query: Query = [("hops", str(hops)), *times(as_of=as_of, known_as_of=known_as_of)]
    return Request(
        method="GET",
        path=f"{_entity_path(cube, entity)}/neighbours",
        query=query + paging(None, limit),
        read=reader(tuple[Neighbour, ...]),
    )


def paths(
    source: str,
    target: str,
    *,
    max_hops: int,
    cube: str,
    as_of: datetime | None,
    known_as_of: datetime | None,
    limit: int,
) -> Request[tuple[Path, ...]]:
    query: Query = [("target", target), ("max_hops", str(max_hops))]
    query += times(as_of=as_of, known_as_of=known_as_of)
    return Request(
        method="GET",
        path=f"{_entity_path(cube, source)}/paths",
        query=query + paging(None, limit),
        read=reader(tuple[Path, ...]),
    )


def merge_entities(
    source: str, into: str, *, cube: str, reason: str | None, idempotency_key: str
) -> Request[Ruling]:
    path = f"{_entity_path(cube, source)}/merge"
    return _ruled(path, {"into": into, "reason": reason}, idempotency_key)


def split_entity(
    entity: str,
    *,
    name: str,
    type: str | None,
    facts: Sequence[str],
    memories: Sequence[str],
    cube: str,
    reason: str | None,
    idempotency_key: str,
) -> Request[Ruling]:
    body = {
        "name": name,
        "type": type,
        "facts": list(facts),
        "memories": list(memories),
        "reason": reason,
    }
    return _ruled(f"{_entity_path(cube, entity)}/split", body, idempotency_key)


def _ruled(path: str, body: Mapping[str, Any], idempotency_key: str) -> Request[Ruling]:
    return Request(
        method="POST",
        path=path,
        body=json_body(given(body)),
        headers=idempotency(idempotency_key),
        read=reader(Ruling),
    )


# The whole


def keep_open(
    fact_id: str, *, cube: str, reason: str | None, idempotency_key: str
) -> Request[Ruling]:
    path = f"{fact_path(cube, fact_id)}/keep-open"
    return _ruled(path, {"reason": reason}, idempotency_key)


def rulings(*, cube: str) -> Request[tuple[Ruling, ...]]:
    return Request(method="GET", path=f"{cube_path(cube)}/rulings", read=reader(tuple[Ruling, ...]))


def revoke(ruling_id: str, *, cube: str, idempotency_key: str) -> Request[Ruling]:
    return Request(
        method="DELETE",
        path=f"{cube_path(cube)}/rulings/{segment(ruling_id, 'ruling id')}",
        headers=idempotency(idempotency_key),
        read=reader(Ruling),
    )


def diff(since: datetime, until: datetime, *, cube: str, axis: str) -> Request[GraphDiff]:
    return Request(
        method="GET",
        path=f"{cube_path(cube)}/diff",
        query=[*times(since=since, until=until), ("axis", axis)],
        read=reader(GraphDiff),
    )


def vocabulary(*, cube: str) -> Request[Vocabulary]:
    return Request(method="GET", path=f"{cube_path(cube)}/vocabulary", read=reader(Vocabulary))


def define_predicate(
    name: str, *, cube: str, idempotency_key: str, **fields: Any
) -> Request[PredicateType]:
    return Request(
        method="PUT",
        path=f"{cube_path(cube)}/vocabulary/predicates/{segment(name, 'name')}",
        body=json_body(given(fields)),
        headers=idempotency(idempotency_key),
        read=reader(PredicateType),
    )


def define_type(
    name: str, *, cube: str, idempotency_key: str, **fields: Any
) -> Request[EntityType]:
    return Request(
        method="PUT",
        path=f"{cube_path(cube)}/vocabulary/types/{segment(name, 'name')}",
        body=json_body(given(fields)),
        headers=idempotency(idempotency_key),
        read=reader(EntityType),
    )


def _entity_path(cube: str, entity: str) -> str:
    return f"{cube_path(cube)}/entities/{segment(entity, 'entity')}"
