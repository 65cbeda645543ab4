"""Memories: add, list, get, update, forget, restore, their history and their links."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi import Query as Parameters
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.batches import BatchAnswer
from memos.api.bodies import media_type, unsupported
from memos.api.idempotency import Recall, Repeatable, mark_replayed
from memos.api.items import NDJSON_NAMES, is_ndjson
from memos.api.queries import AddQuery, BatchQuery, ForgetQuery, Known, MemoriesQuery, View
from memos.api.responses import CubeName, MemoryId, WireResponse, nothing, versioned
from memos.api.schemas.fields import ReasonIn
from memos.api.schemas.memories import AddIn, LinkIn, UpdateIn
from memos.errors import InvalidInput, MemoryNotFound, NotFound
from memos.messages import Defaults, Item
from memos.types import Added, Link, Memory, MemoryVersion, Page, Role
from memos.wire import from_json

router = APIRouter(prefix="/v1/cubes/{cube}", tags=["memories"], route_class=Gate)

_ETAG = re.compile(r'"([1-9]\d{0,17})"\Z')

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        json_schema_extra={"pattern": r'^("[1-9][0-9]{0,17}"|\*)$'},
        description='The ETag of the version to change, such as "3"; 412 if it has changed since.',
    ),
]


@router.post(
    "/memories",
    operation_id="add",
    summary="Add memories",
    status_code=201,
    response_model=Added,
    responses={202: {"model": Added, "description": "Durable; `jobs` make it searchable"}},
)
@needs(Role.WRITER)
def add(
    request: Request,
    caller: Caller,
    cube: CubeName,
    once: Repeatable,
    query: Annotated[AddQuery, Parameters()],
    body: AddIn,
) -> Response:
    """One memory, several, or a conversation: all or none. What is answered is durable; unless
    `wait=false` it is found by search too."""
    replayed = once.seen()
    added = caller.memory.add(
        body.items(),
        cube=cube,
        wait=query.wait,
        idempotency_key=once.key,
        **_keywords(body.defaults()),
    )
    if replayed:
        return mark_replayed(WireResponse(added, 201 if query.wait else 202))
    request.app.state.metrics.added(len(added.memories))
    return WireResponse(added, 201 if query.wait else 202)


@router.post(
    "/memories/batch",
    operation_id="add_batch",
    summary="Add any number of memories, with progress",
    response_class=Response,
)
@needs(Role.WRITER)
async def add_batch(
    request: Request,
    caller: Caller,
    cube: CubeName,
    once: Repeatable,
    query: Annotated[BatchQuery, Parameters()],
) -> Response:
    """NDJSON with one memory, message or string per line, of any length, or a JSON array.

    The answer is NDJSON: a line `{"done": n, "ids": [...]}` as soon as a part is durable and
    searchable, at the end `{"done": n, "complete": true}`, or `{"problem": {...}, "done": n}` if
    it had to stop: the items before the one named are stored. With an Idempotency-Key, sending the
    same batch again stores nothing twice."""
    if media_type(request) not in ("application/json", *NDJSON_NAMES):
        raise unsupported(request, "application/x-ndjson or application/json")
    state = request.app.state
    settings = state.service.settings
    caller.memory.cube(cube)

    def part(items: list[Item], number: int) -> Added:
        key = f"{once.key}:{number}" if once.key is not None else None
        added = caller.memory.add(items, cube=cube, idempotency_key=key)
        state.metrics.added(len(added.memories))
        return added

    return BatchAnswer(
        request,
        part,
        settings=settings,
        batch_size=query.size(settings.max_batch),
        body=None if is_ndjson(request) else await request.body(),
        limiter=state.batches,
        stopping=state.stopping,
    )


@router.get(
    "/memories", operation_id="memories", summary="List memories", response_model=Page[Memory]
)
@needs(Role.READER)
def memories(
    caller: Caller, cube: CubeName, query: Annotated[MemoriesQuery, Parameters()]
) -> Response:
    """In order of arrival; only `activated` ones unless `states` says otherwise."""
    return WireResponse(
        caller.memory.memories(
            cube=cube,
            kinds=query.kinds,
            states=query.states,
            user_id=query.user_id,
            agent_id=query.agent_id,
            session_id=query.session_id,
            filter=query.parsed_filter(),
            cursor=query.cursor,
            limit=query.limit,
            **query.view(),
        )
    )


@router.get("/memories/{id}", operation_id="get", summary="Get a memory", response_model=Memory)
@needs(Role.READER)
def get(
    caller: Caller, cube: CubeName, id: MemoryId, query: Annotated[View, Parameters()]
) -> Response:
    """In any state but erased. The ETag is its version."""
    return versioned(caller.memory.get(id, cube=cube, **query.view()))


@router.patch(
    "/memories/{id}", operation_id="update", summary="Change a memory", response_model=Memory
)
@needs(Role.WRITER)
def update(
    caller: Caller,
    cube: CubeName,
    id: MemoryId,
    once: Repeatable,
    body: UpdateIn,
    if_match: IfMatch = None,
) -> Response:
    """Makes a new version; the former ones stay in the history."""
    version = version_of(if_match)
    changes = body.changes()
    return once.do(
        lambda: versioned(caller.memory.update(id, cube=cube, if_version=version, **changes)),
        recall=version_again(caller, cube, id),
    )


@router.delete(
    "/memories/{id}", operation_id="forget", summary="Forget a memory", response_model=Memory
)
@needs(Role.WRITER)
def forget(
    caller: Caller,
    cube: CubeName,
    id: MemoryId,
    once: Repeatable,
    query: Annotated[ForgetQuery, Parameters()],
    if_match: IfMatch = None,
) -> Response:
    """Out of search, and back with `restore`; with `erase=true` gone from every store for good."""
    version = version_of(if_match)
    return once.do(
        lambda: versioned(
            caller.memory.forget(
                id, cube=cube, erase=query.erase, if_version=version, reason=query.reason
            )
        ),
        # The tombstone has no text, and its version no memory to be read again.
        recall=None if query.erase else version_again(caller, cube, id),
    )


@router.post(
    "/memories/{id}/restore",
    operation_id="restore",
    summary="Bring a forgotten memory back",
    response_model=Memory,
)
@needs(Role.WRITER)
def restore(
    caller: Caller, cube: CubeName, id: MemoryId, once: Repeatable, body: ReasonIn | None = None
) -> Response:
    """409 if it was not forgotten."""
    reason = body.reason if body else None
    return once.do(
        lambda: versioned(caller.memory.restore(id, cube=cube, reason=reason)),
        recall=version_again(caller, cube, id),
    )


@router.get(
    "/memories/{id}/history",
    operation_id="history",
    summary="All versions of a memory",
    response_model=tuple[MemoryVersion, ...],
)
@needs(Role.READER)
def history(
    caller: Caller, cube: CubeName, id: MemoryId, query: Annotated[Known, Parameters()]
) -> Response:
    """Oldest first. Of an erased memory it says only that it was, and when it went."""
    return WireResponse(caller.memory.history(id, cube=cube, known_as_of=query.known_as_of))


@router.get(
    "/memories/{id}/links",
    operation_id="links",
    summary="The links of a memory",
    response_model=tuple[Link, ...],
)
@needs(Role.READER)
def links(
    caller: Caller, cube: CubeName, id: MemoryId, query: Annotated[Known, Parameters()]
) -> Response:
    """In both directions, oldest first."""
    return WireResponse(caller.memory.links(id, cube=cube, known_as_of=query.known_as_of))


@router.post(
    "/memories/{id}/links",
    operation_id="link",
    summary="Connect two memories",
    status_code=201,
    response_model=Link,
)
@needs(Role.WRITER)
def link(caller: Caller, cube: CubeName, id: MemoryId, once: Repeatable, body: LinkIn) -> Response:
    """The same link again is the same link."""
    return once.do(
        lambda: WireResponse(
            caller.memory.link(
                id, body.target_id, cube=cube, relation=body.relation, reason=body.reason
            ),
            201,
        ),
        recall=_link_again(caller, cube, id),
    )


@router.delete("/links/{link_id}", operation_id="unlink", summary="Remove a link", status_code=204)
@needs(Role.WRITER)
def unlink(caller: Caller, cube: CubeName, link_id: str, once: Repeatable) -> Response:
    """The memories stay as they are."""

    def write() -> Response:
        caller.memory.unlink(link_id, cube=cube)
        return nothing()

    return once.do(write)


def version_again(caller: Caller, cube: str, id: str) -> Recall:
    """Keeps the version that a write made; MemoryNotFound if it was erased since."""

    def answer(etag: str) -> Response:
        for entry in caller.memory.history(id, cube=cube):
            if entry.version == version_of(etag) and entry.memory is not None:
                return versioned(entry.memory)
        raise MemoryNotFound(
            f"the request was done, but memory {id!r} has been erased since", memory_id=id
        )

    return Recall(lambda done: done.headers["etag"], answer)


def _link_again(caller: Caller, cube: str, id: str) -> Recall:
    """Keeps the id of the link that was made; NotFound if it was removed since."""

    def answer(link_id: str) -> Response:
        for found in caller.memory.links(id, cube=cube):
            if found.id == link_id:
                return WireResponse(found, 201)
        raise NotFound(
            f"the request was done, but link {link_id!r} has been removed since", link_id=link_id
        )

    return Recall(lambda done: from_json(bytes(done.body), Link).id, answer)


def _keywords(defaults: Defaults) -> dict[str, Any]:
    return {spec.name: getattr(defaults, spec.name) for spec in fields(Defaults)}


def version_of(header: str | None) -> int | None:
    """The version that If-Match asks for; None for any."""
    if header is None or header.strip() == "*":
        return None
    found = _ETAG.match(header.strip())
    if found is None:
        raise InvalidInput(
            f'If-Match is {header[:40]!r}; give the ETag of a memory, such as "3" with its quotes',
            field="If-Match",
        )
    return int(found[1])
