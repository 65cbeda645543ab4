"""What the verbs of parametric memory send, and how their answers are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memos.client.bodies import cube_path, given, idempotency, json_body, nothing, paging, reader
from memos.client.bodies import segment as path_segment
from memos.client.requests.request import Request
from memos.types import Adapter, Kind, Page

_PATIENCE = 3600.0
"""Seconds; a training that is waited for takes minutes."""
_DEFAULTS = {
    "memories": [],
    "name": "default",
    "limit": 100,
    "diversity": 0.0,
    "attach": True,
    "when": "named",
    "seed": 0,
    "shares": [],
    "method": "linear",
}


def distill(
    *, cube: str, wait: bool, kind: Kind | None, idempotency_key: str, **options: Any
) -> Request[Adapter]:
    """Options are sent but for those at their default."""
    body = {name: list(value) if name == "memories" else value for name, value in options.items()}
    body = {name: v for name, v in given(body).items() if v != _DEFAULTS.get(name)}
    if kind is not None:
        body["kind"] = kind
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/adapters",
        query=[("wait", "true")] if wait else [],
        body=json_body(body),
        headers=idempotency(idempotency_key),
        read=reader(Adapter),
        patience=_PATIENCE,
    )


def merge(
    *, cube: str, wait: bool, adapters: Sequence[str], idempotency_key: str, **options: Any
) -> Request[Adapter]:
    """Options are sent but for those at their default."""
    body = {n: list(v) if n == "shares" else v for n, v in given(options).items()}
    body = {name: v for name, v in body.items() if v != _DEFAULTS.get(name)}
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/adapters/merge",
        query=[("wait", "true")] if wait else [],
        body=json_body({"adapters": list(adapters), **body}),
        headers=idempotency(idempotency_key),
        read=reader(Adapter),
        patience=_PATIENCE,
    )


def adapters(*, cube: str, cursor: str | None, limit: int) -> Request[Page[Adapter]]:
    return Request(
        method="GET",
        path=f"{cube_path(cube)}/adapters",
        query=paging(cursor, limit),
        read=reader(Page[Adapter]),
    )


def adapter(id: str, *, cube: str) -> Request[Adapter]:
    return Request(method="GET", path=_path(cube, id), read=reader(Adapter))


def change(id: str, step: str, *, cube: str) -> Request[Adapter]:
    """`step` is evaluate, attach, detach or rollback."""
    return Request(
        method="POST",
        path=f"{_path(cube, id)}/{step}",
        read=reader(Adapter),
        patience=_PATIENCE,
    )


def drop(id: str, *, cube: str, idempotency_key: str) -> Request[None]:
    return Request(
        method="DELETE",
        path=_path(cube, id),
        headers=idempotency(idempotency_key),
        read=nothing,
    )


def _path(cube: str, id: str) -> str:
    return f"{cube_path(cube)}/adapters/{path_segment(id, 'adapter id')}"
