"""Cubes: make, list, describe, rebuild, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as Parameters
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.idempotency import Repeatable
from memos.api.queries import Paging
from memos.api.responses import CubeName, WireResponse, nothing
from memos.api.schemas.cubes import CubeIn, ReindexIn
from memos.types import Cube, CubeDescription, Job, Page, Role

router = APIRouter(prefix="/v1", tags=["cubes"], route_class=Gate)


@router.post(
    "/cubes",
    operation_id="create_cube",
    summary="Make a cube",
    status_code=201,
    response_model=Cube,
)
@needs(Role.ADMIN, whole_tenant=True)
def create_cube(caller: Caller, once: Repeatable, body: CubeIn) -> Response:
    """409 if the name is taken."""
    return once.do(
        lambda: WireResponse(
            caller.memory.create_cube(
                body.name, description=body.description, metadata=body.metadata
            ),
            201,
        )
    )


@router.get("/cubes", operation_id="cubes", summary="List cubes", response_model=Page[Cube])
@needs(Role.READER)
def cubes(caller: Caller, query: Annotated[Paging, Parameters()]) -> Response:
    """Those that the key reaches; a page may hold fewer than `limit` of them."""
    page = caller.memory.cubes(cursor=query.cursor, limit=query.limit)
    items = tuple(cube for cube in page.items if caller.reaches(cube.id))
    return WireResponse(Page(items=items, next_cursor=page.next_cursor))


@router.get(
    "/cubes/{cube}",
    operation_id="describe_cube",
    summary="A cube and what is in it",
    response_model=CubeDescription,
)
@needs(Role.READER)
def describe_cube(caller: Caller, cube: CubeName) -> Response:
    """By name or id. The cube `default` is made when it is first named."""
    return WireResponse(caller.memory.describe_cube(cube))


@router.delete(
    "/cubes/{cube}", operation_id="delete_cube", summary="Delete a cube", status_code=204
)
@needs(Role.ADMIN)
def delete_cube(caller: Caller, cube: CubeName, once: Repeatable) -> Response:
    """The cube with everything in it, at once and for good."""

    def write() -> Response:
        caller.memory.delete_cube(cube)
        return nothing()

    return once.do(write)


@router.post(
    "/cubes/{cube}/reindex",
    operation_id="reindex",
    summary="Rebuild what is derived from the memories",
    status_code=202,
    response_model=Job,
)
@needs(Role.ADMIN)
def reindex(caller: Caller, cube: CubeName, once: Repeatable, body: ReindexIn) -> Response:
    """A job. With `embed` it also makes the vectors anew, by the configured model."""
    return once.do(lambda: WireResponse(caller.memory.reindex(cube, embed=body.embed), 202))
