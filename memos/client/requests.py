"""What each verb sends and how its answer is read; both clients only carry these.

Knows the routes, the bodies and the types. Knows no HTTP library, no retries and no keys' origin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from memos.client.bodies import (
    Query,
    changed,
    cube_path,
    given,
    idempotency,
    if_match,
    item_fields,
    json_body,
    memory_path,
    nothing,
    paging,
    reader,
    segment,
    times,
    word,
)
from memos.messages import Item, as_items
from memos.types import (
    UNSET,
    Added,
    ApiKey,
    Cube,
    CubeDescription,
    IssuedKey,
    Job,
    JobState,
    Kind,
    Link,
    Memory,
    MemoryVersion,
    Message,
    Page,
    Role,
    Search,
    SearchResult,
    State,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[T]):
    """One call. `repeatable`: sending it twice does what sending it once does.

    `patience` is how many seconds longer than usual the answer may take.
    """

    method: str
    path: str
    read: Callable[[bytes], T]
    query: Query = field(default_factory=list)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    patience: float = 0.0


# Memories


def defaults(*, kind: Kind, **fields: Any) -> dict[str, Any]:
    """What `add` sends beside its items: the fields that were given."""
    return {**({} if kind is Kind.EPISODIC else {"kind": kind}), **given(fields)}


def add(
    content: Item | Sequence[Item],
    *,
    cube: str,
    defaults: Mapping[str, Any],
    wait: bool,
    idempotency_key: str,
) -> Request[Added]:
    """`defaults` are fields for the items that don't set them, by the function of that name."""
    items = as_items(content)
    # A message's line has a `role`; a list of messages only goes by that name so that the server
    # can say which kind of item it could not read.
    name = "messages" if items and all(isinstance(i, Message) for i in items) else "memories"
    body = {name: [item_fields(item) for item in items], **defaults}
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/memories",
        query=[("wait", "true" if wait else "false")],
        body=json_body(body),
        headers=idempotency(idempotency_key),
        read=reader(Added),
    )


def get(
    memory_id: str,
    *,
    cube: str,
    as_of: datetime | None = None,
    known_as_of: datetime | None = None,
) -> Request[Memory]:
    return Request(
        method="GET",
        path=memory_path(cube, memory_id),
        query=times(as_of=as_of, known_as_of=known_as_of),
        read=reader(Memory),
    )


def memories(
    *,
    cube: str,
    kinds: Sequence[Kind],
    states: Sequence[State],
    user_id: str | None,
    agent_id: str | None,
    session_id: str | None,
    filter: Mapping[str, Any] | None,
    as_of: datetime | None,
    known_as_of: datetime | None,
    cursor: str | None,
    limit: int,
) -> Request[Page[Memory]]:
    scope = {"user_id": user_id, "agent_id": agent_id, "session_id": session_id}
    query: Query = [("kinds", word(kind)) for kind in kinds]
    query += [("states", word(state)) for state in states]
    query += list(given(scope).items())
    if filter is not None:
        query.append(("filter", json_body(filter).decode()))
    query += times(as_of=as_of, known_as_of=known_as_of)
    return Request(
        method="GET",
        path=f"{cube_path(cube)}/memories",
        query=query + paging(cursor, limit),
        read=reader(Page[Memory]),
    )


def search(wanted: Search, *, cube: str) -> Request[SearchResult]:
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/search",
        body=json_body(changed(wanted)),
        read=reader(SearchResult),
    )


def update(
    memory_id: str,
    *,
    cube: str,
    if_version: int | None,
    reason: str | None,
    changes: Mapping[str, Any],
    idempotency_key: str,
) -> Request[Memory]:
    """`changes` may hold UNSET values, which are not sent; None is sent as null."""
    body = {name: value for name, value in changes.items() if value is not UNSET}
    return Request(
        method="PATCH",
        path=memory_path(cube, memory_id),
        body=json_body({**body, **given({"reason": reason})}),
        headers={**idempotency(idempotency_key), **if_match(if_version)},
        read=reader(Memory),
    )


def forget(
    memory_id: str,
    *,
    cube: str,
    erase: bool,
    if_version: int | None,
    reason: str | None,
    idempotency_key: str,
) -> Request[Memory]:
    return Request(
        method="DELETE",
        path=memory_path(cube, memory_id),
        query=[("erase", "true" if erase else "false"), *given({"reason": reason}).items()],
        headers={**idempotency(idempotency_key), **if_match(if_version)},
        read=reader(Memory),
    )


def restore(
    memory_id: str, *, cube: str, reason: str | None, idempotency_key: str
) -> Request[Memory]:
    return Request(
        method="POST",
        path=f"{memory_path(cube, memory_id)}/restore",
        body=json_body(given({"reason": reason})),
        headers=idempotency(idempotency_key),
        read=reader(Memory),
    )


def history(
    memory_id: str, *, cube: str, known_as_of: datetime | None
) -> Request[tuple[MemoryVersion, ...]]:
    return Request(
        method="GET",
        path=f"{memory_path(cube, memory_id)}/history",
        query=times(known_as_of=known_as_of),
        read=reader(tuple[MemoryVersion, ...]),
    )


# Links


def link(
    source_id: str,
    target_id: str,
    *,
    cube: str,
    relation: str,
    reason: str | None,
    idempotency_key: str,
) -> Request[Link]:
    body = {"target_id": target_id, "relation": relation, **given({"reason": reason})}
    return Request(
        method="POST",
        path=f"{memory_path(cube, source_id)}/links",
        body=json_body(body),
        headers=idempotency(idempotency_key),
        read=reader(Link),
    )


def links(memory_id: str, *, cube: str, known_as_of: datetime | None) -> Request[tuple[Link, ...]]:
    return Request(
        method="GET",
        path=f"{memory_path(cube, memory_id)}/links",
        query=times(known_as_of=known_as_of),
        read=reader(tuple[Link, ...]),
    )


def unlink(link_id: str, *, cube: str, idempotency_key: str) -> Request[None]:
    return Request(
        method="DELETE",
        path=f"{cube_path(cube)}/links/{segment(link_id, 'link id')}",
        headers=idempotency(idempotency_key),
        read=nothing,
    )


# Cubes


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


# Jobs


def job(job_id: str, *, wait: float = 0.0) -> Request[Job]:
    """`wait`: the server answers when the job has ended, or after so many seconds."""
    return Request(
        method="GET",
        path=f"/v1/jobs/{segment(job_id, 'job id')}",
        query=[("wait", f"{wait:g}")] if wait else [],
        read=reader(Job),
        patience=wait,
    )


def jobs(
    *, states: Sequence[JobState], cube: str | None, cursor: str | None, limit: int
) -> Request[Page[Job]]:
    query: Query = [("state", word(state)) for state in states]
    query += list(given({"cube": cube}).items())
    return Request(
        method="GET",
        path="/v1/jobs",
        query=query + paging(cursor, limit),
        read=reader(Page[Job]),
    )


def retry_job(job_id: str, *, idempotency_key: str) -> Request[Job]:
    return Request(
        method="POST",
        path=f"/v1/jobs/{segment(job_id, 'job id')}/retry",
        headers=idempotency(idempotency_key),
        read=reader(Job),
    )


# Keys


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
