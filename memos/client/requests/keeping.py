"""What the verbs of keeping memories send and how their answers are read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from memos.client.bodies import (
    changed,
    cube_path,
    given,
    idempotency,
    if_match,
    json_body,
    memory_path,
    reader,
    times,
)
from memos.client.requests.request import Request
from memos.types import (
    Audit,
    Context,
    ErasureReceipt,
    Job,
    KeepingPlan,
    Lineage,
    Policy,
    ReceiptCheck,
    Segment,
    Strength,
    Work,
)

_PATIENCE = 540.0
"""Seconds; plans and audits read a whole cube."""


def plan(work: Work, *, cube: str, limit: int) -> Request[KeepingPlan]:
    return Request(
        method="GET",
        path=f"{cube_path(cube)}/plan",
        query=[("work", str(getattr(work, "value", work))), ("limit", str(limit))],
        read=reader(KeepingPlan),
        patience=_PATIENCE,
    )


def run(work: str, *, cube: str, idempotency_key: str) -> Request[Job]:
    """`work` is consolidate or sweep."""
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/{work}",
        headers=idempotency(idempotency_key),
        read=reader(Job),
    )


def policy(*, cube: str) -> Request[Policy]:
    return Request(method="GET", path=f"{cube_path(cube)}/policy", read=reader(Policy))


def set_policy(policy: Policy, *, cube: str, idempotency_key: str) -> Request[Policy]:
    return Request(
        method="PUT",
        path=f"{cube_path(cube)}/policy",
        body=json_body(msgspec.to_builtins(changed(policy))),
        headers=idempotency(idempotency_key),
        read=reader(Policy),
        patience=_PATIENCE,
    )


def lineage(id: str, *, cube: str) -> Request[tuple[Lineage, ...]]:
    return Request(
        method="GET",
        path=f"{memory_path(cube, id)}/lineage",
        read=reader(tuple[Lineage, ...]),
    )


def strength(id: str, *, cube: str) -> Request[Strength]:
    return Request(method="GET", path=f"{memory_path(cube, id)}/strength", read=reader(Strength))


def pin(id: str, step: str, *, cube: str, idempotency_key: str) -> Request[Strength]:
    """`step` is pin or unpin."""
    return Request(
        method="POST",
        path=f"{memory_path(cube, id)}/{step}",
        headers=idempotency(idempotency_key),
        read=reader(Strength),
    )


def erase(
    id: str, *, cube: str, if_version: int | None, reason: str | None, idempotency_key: str
) -> Request[ErasureReceipt]:
    return Request(
        method="POST",
        path=f"{memory_path(cube, id)}/erase",
        body=json_body(given({"reason": reason})),
        headers={**idempotency(idempotency_key), **if_match(if_version)},
        read=reader(ErasureReceipt),
    )


def check_receipt(receipt: ErasureReceipt, *, cube: str) -> Request[ReceiptCheck]:
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/receipts/check",
        body=json_body({"receipt": msgspec.to_builtins(receipt)}),
        read=reader(ReceiptCheck),
    )


def audit(*, cube: str) -> Request[Audit]:
    return Request(
        method="GET", path=f"{cube_path(cube)}/audit", read=reader(Audit), patience=_PATIENCE
    )


def segments(
    session_id: str,
    *,
    user_id: str | None,
    cube: str,
    as_of: datetime | None,
    known_as_of: datetime | None,
) -> Request[tuple[Segment, ...]]:
    query = list(given({"session_id": session_id, "user_id": user_id}).items())
    return Request(
        method="GET",
        path=f"{cube_path(cube)}/segments",
        query=query + times(as_of=as_of, known_as_of=known_as_of),
        read=reader(tuple[Segment, ...]),
    )


def context(query: str | None, *, cube: str, **options: Any) -> Request[Context]:
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/context",
        body=json_body(given({"query": query, **options})),
        read=reader(Context),
    )
