"""What the verbs that change memories and their links send, and how their answers are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memos.client.bodies import (
    cube_path,
    given,
    idempotency,
    if_match,
    item_fields,
    json_body,
    memory_path,
    nothing,
    reader,
    segment,
)
from memos.client.requests.request import Request
from memos.messages import Item, as_items
from memos.types import UNSET, Added, Kind, Link, Memory, Message


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


def unlink(link_id: str, *, cube: str, idempotency_key: str) -> Request[None]:
    return Request(
        method="DELETE",
        path=f"{cube_path(cube)}/links/{segment(link_id, 'link id')}",
        headers=idempotency(idempotency_key),
        read=nothing,
    )
