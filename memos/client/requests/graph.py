"""What each verb of the graph sends and how its answer is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from memos.client.bodies import (
    Query,
    changed,
    cube_path,
    given,
    idempotency,
    json_body,
    paging,
    reader,
    segment,
    times,
)
from memos.client.requests.request import Request
from memos.messages import as_facts
from memos.types import (
    AddedFacts,
    Entity,
    EntityType,
    Fact,
    FactExplanation,
    FactQuery,
    GraphDiff,
    Job,
    Neighbour,
    NewFact,
    Page,
    Path,
    PredicateType,
    Ruling,
    Vocabulary,
)

# Facts


def facts(wanted: FactQuery, *, cube: str, cursor: str | None, limit: int) -> Request[Page[Fact]]:
    """`include_negated` is not sent: the answer has both."""
    triple = {
        "subject": wanted.subject,
        "predicate": wanted.predicate,
        "object": wanted.object,
    }
    query: Query = list(given(triple).items())
    query += times(
        as_of=wanted.as_of,
        known_as_of=wanted.known_as_of,
        since=wanted.since,
        until=wanted.until,
    )
    if wanted.min_confidence != 0.0:
        query.append(("min_confidence", str(wanted.min_confidence)))
    return Request(
        method="GET",
        path=f"{cube_path(cube)}/facts",
        query=query + paging(cursor, limit),
        read=reader(Page[Fact]),
    )


def add_facts(
    facts: Sequence[NewFact | Mapping[str, Any]],
    *,
    cube: str,
    session_id: str | None,
    idempotency_key: str,
) -> Request[AddedFacts]:
    body = {"facts": [changed(fact) for fact in as_facts(facts)], "session_id": session_id}
    return _added(cube, given(body), idempotency_key)


def add_records(
    records: Sequence[Mapping[str, Any]],
    *,
    cube: str,
    idempotency_key: str,
    **how: Any,
) -> Request[AddedFacts]:
    """`how`: name_field, type, time_field and session_id."""
    return _added(cube, {"records": list(records), **given(how)}, idempotency_key)


def _added(cube: str, body: Mapping[str, Any], idempotency_key: str) -> Request[AddedFacts]:
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/facts",
        body=json_body(body),
        headers=idempotency(idempotency_key),
        read=reader(AddedFacts),
    )


def fact(fact_id: str, *, cube: str, known_as_of: datetime | None) -> Request[Fact]:
    return Request(
        method="GET",
        path=_fact_path(cube, fact_id),
        query=times(known_as_of=known_as_of),
        read=reader(Fact),
    )


def why(fact_id: str, *, cube: str, known_as_of: datetime | None) -> Request[FactExplanation]:
    return Request(
        method="GET",
        path=f"{_fact_path(cube, fact_id)}/why",
        query=times(known_as_of=known_as_of),
        read=reader(FactExplanation),
    )


def keep_open(
    fact_id: str, *, cube: str, reason: str | None, idempotency_key: str
) -> Request[Ruling]:
    path = f"{_fact_path(cube, fact_id)}/keep-open"
    return _ruled(path, {"reason": reason}, idempotency_key)


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


def extract(*, cube: str, again: bool, idempotency_key: str) -> Request[Job]:
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/extract",
        body=json_body({"again": again}),
        headers=idempotency(idempotency_key),
        read=reader(Job),
    )


def _fact_path(cube: str, fact_id: str) -> str:
    return f"{cube_path(cube)}/facts/{segment(fact_id, 'fact id')}"


def _entity_path(cube: str, entity: str) -> str:
    return f"{cube_path(cube)}/entities/{segment(entity, 'entity')}"
