"""What the verbs of the lifecycle send and how their answers are read."""

from __future__ import annotations

from memos.client.bodies import (
    cube_path,
    given,
    idempotency,
    if_match,
    json_body,
    memory_path,
    reader,
    segment,
    word,
)
from memos.client.requests.request import Request
from memos.types import Kind, LifecycleRule, Memory


def step(
    memory_id: str,
    verb: str,
    *,
    cube: str,
    if_version: int | None,
    reason: str | None,
    idempotency_key: str,
) -> Request[Memory]:
    """`verb`: archive, freeze, thaw or expire."""
    return Request(
        method="POST",
        path=f"{memory_path(cube, memory_id)}/{verb}",
        body=json_body(given({"reason": reason})),
        headers={**idempotency(idempotency_key), **if_match(if_version)},
        read=reader(Memory),
    )


def rollback(
    memory_id: str,
    version: int,
    *,
    cube: str,
    if_version: int | None,
    reason: str | None,
    idempotency_key: str,
) -> Request[Memory]:
    return Request(
        method="POST",
        path=f"{memory_path(cube, memory_id)}/rollback",
        body=json_body(given({"version": version, "reason": reason})),
        headers={**idempotency(idempotency_key), **if_match(if_version)},
        read=reader(Memory),
    )


def undo(
    event_id: str, *, cube: str, reason: str | None, idempotency_key: str
) -> Request[tuple[Memory, ...]]:
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/events/{segment(event_id, 'event id')}/undo",
        body=json_body(given({"reason": reason})),
        headers=idempotency(idempotency_key),
        read=reader(tuple[Memory, ...]),
    )


def rules(*, cube: str) -> Request[tuple[LifecycleRule, ...]]:
    return Request(
        method="GET",
        path=f"{cube_path(cube)}/lifecycle",
        read=reader(tuple[LifecycleRule, ...]),
    )


def set_rule(
    kind: Kind, *, cube: str, idempotency_key: str, **spans: float | None
) -> Request[LifecycleRule]:
    return Request(
        method="PUT",
        path=f"{cube_path(cube)}/lifecycle/{segment(word(kind), 'kind')}",
        body=json_body(given(spans)),
        headers=idempotency(idempotency_key),
        read=reader(LifecycleRule),
    )
