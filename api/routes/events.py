"""Events: what happened by itself, listed; and why something is as it is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as Parameters
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.queries import EventsQuery, Known
from memos.api.responses import AnyId, CubeName, WireResponse
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
