"""What the verbs of cubes and of keys send and how their answers are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memos.client.bodies import cube_path, idempotency, json_body, nothing, paging, reader, segment
from memos.client.requests.request import Request
from memos.types import ApiKey, Cube, CubeDescription, IssuedKey, Job, Page, Role


def create_cube(
    name: str, *, description: str, metadata: Mapping[str, Any] | None, idempotency_key: str
) -> Request[Cube]:
    return Request(
        method="POST",
        path="/v1/cubes",
        body=json_body({"name": name, "description": description, "metadata": metadata or {}}),
        headers=idempotency(idempotency_key),
        read=reader(Cube),
    )


def cubes(*, cursor: str | None, limit: int) -> Request[Page[Cube]]:
    return Request(
        method="GET", path="/v1/cubes", query=paging(cursor, limit), read=reader(Page[Cube])
    )


def describe_cube(cube: str) -> Request[CubeDescription]:
    return Request(method="GET", path=cube_path(cube), read=reader(CubeDescription))


def delete_cube(cube: str, *, idempotency_key: str) -> Request[None]:
    return Request(
        method="DELETE", path=cube_path(cube), headers=idempotency(idempotency_key), read=nothing
    )


def reindex(cube: str, *, embed: bool, idempotency_key: str) -> Request[Job]:
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/reindex",
        body=json_body({"embed": embed}),
        headers=idempotency(idempotency_key),
        read=reader(Job),
    )


def create_key(
    name: str, *, role: Role, cubes: Sequence[str], idempotency_key: str
) -> Request[IssuedKey]:
    return Request(
        method="POST",
        path="/v1/keys",
        body=json_body({"name": name, "role": role, "cubes": list(cubes)}),
        headers=idempotency(idempotency_key),
        read=reader(IssuedKey),
        repeatable=False,  # a secret is answered once; a repetition would only be refused
    )


def keys() -> Request[tuple[ApiKey, ...]]:
    return Request(method="GET", path="/v1/keys", read=reader(tuple[ApiKey, ...]))


def revoke_key(key_id: str, *, idempotency_key: str) -> Request[ApiKey]:
    return Request(
        method="DELETE",
        path=f"/v1/keys/{segment(key_id, 'key id')}",
        headers=idempotency(idempotency_key),
        read=reader(ApiKey),
    )
