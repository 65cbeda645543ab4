"""Events: what happened by itself, listed; and why something is as it is."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi import Query as Parameters
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from memos.api import event_stream
from memos.api.auth import ADMITTED_SECONDS, Caller, Gate, admit_again, needs
from memos.api.queries import EventsQuery, Known, StreamQuery
from memos.api.responses import AnyId, CubeName, WireResponse
from memos.errors import InvalidInput
from memos.types import Event, Explanation, Page, Role

router = APIRouter(prefix="/v1", tags=["events"], route_class=Gate)


@router.get(
    "/cubes/{cube}/why/{id}",
    operation_id="explain",
    summary="Why something is as it is",
    response_model=Explanation,
)
@needs(Role.READER)
def explain(
    caller: Caller, cube: CubeName, id: AnyId, query: Annotated[Known, Parameters()]
) -> Response:
    """A memory or fact of the cube, a job, or an event: in sentences, with what they were made
    of."""
    found = caller.memory.explain(id, cube=cube, known_as_of=query.known_as_of)
    if found.job is not None:
        caller.check_job(found.job)
    if found.event is not None:
        caller.check_event(found.event)
    return WireResponse(found)


@router.get("/events", operation_id="events", summary="List events", response_model=Page[Event])
@needs(Role.READER)
def events(caller: Caller, query: Annotated[EventsQuery, Parameters()]) -> Response:
    """Oldest first; those of cubes that the key reaches, so a page may hold fewer than `limit`."""
    if query.cube is not None:
        caller.check_cube(query.cube)
    page = caller.memory.events(
        kinds=tuple(query.kinds),
        cube=query.cube,
        after=query.after,
        cursor=query.cursor,
        limit=query.limit,
    )
    items = tuple(event for event in page.items if caller.reaches(event.cube_id))
    return WireResponse(Page(items=items, next_cursor=page.next_cursor))


@router.get(
    "/events/stream",
    operation_id="follow",
    summary="Follow events as they happen",
    response_class=Response,
)
@needs(Role.READER)
async def follow(
    request: Request,
    caller: Caller,
    query: Annotated[StreamQuery, Parameters()],
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", description="Go on after this event; wins over `after`."),
    ] = None,
) -> Response:
    """Server-sent events: the event's `seq` as id, its kind as type, itself as JSON. Without
    `after` and Last-Event-ID those from now on."""
    after = _after(last_event_id, query.after)
    if query.cube is not None:
        await run_in_threadpool(caller.check_cube, query.cube)
        # A stream of a cube that is not there would be silent for ever.
        await run_in_threadpool(caller.memory.cube, query.cube)
    kinds = tuple(query.kinds)
    service = request.app.state.service
    part = min(event_stream.PART, service.settings.max_limit)

    admitted = time.monotonic()

    def page(after: int) -> list[Event]:
        nonlocal admitted
        if time.monotonic() - admitted >= ADMITTED_SECONDS:
            admit_again(request)
            admitted = time.monotonic()
        found = caller.memory.events(kinds=kinds, cube=query.cube, after=after, limit=part)
        return list(found.items)

    first: int
    if after is None:
        first = await run_in_threadpool(service.stores.events.last, caller.key.tenant_id)
    else:
        first = after
    return event_stream.answer(
        page,
        first,
        stopping=request.app.state.stopping,
        seconds=query.seconds,
        reaches=lambda event: caller.reaches(event.cube_id),
    )


def _after(header: str | None, after: int | None) -> int | None:
    if header is None or not header.strip():
        return after
    text = header.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidInput(
            f"Last-Event-ID is {header[:40]!r}; it must be an id that this stream sent",
            field="Last-Event-ID",
        )
    return int(text)
