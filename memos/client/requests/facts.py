"""What the verbs of facts send and how their answers are read."""

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
from memos.types import AddedFacts, Fact, FactExplanation, FactQuery, Job, NewFact, Page


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
        path=fact_path(cube, fact_id),
        query=times(known_as_of=known_as_of),
        read=reader(Fact),
    )


def why(fact_id: str, *, cube: str, known_as_of: datetime | None) -> Request[FactExplanation]:
    return Request(
        method="GET",
        path=f"{fact_path(cube, fact_id)}/why",
        query=times(known_as_of=known_as_of),
        read=reader(FactExplanation),
    )


def extract(*, cube: str, again: bool, idempotency_key: str) -> Request[Job]:
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/extract",
        body=json_body({"again": again}),
        headers=idempotency(idempotency_key),
        read=reader(Job),
    )


def fact_path(cube: str, fact_id: str) -> str:
    return f"{cube_path(cube)}/facts/{segment(fact_id, 'fact id')}"
