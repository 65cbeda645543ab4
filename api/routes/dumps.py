"""Cubes as files: one goes out whole, and one is made of such a file."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Query as Parameters
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.bodies import media_type, unsupported
from memos.api.queries import LoadQuery
from memos.api.responses import CubeName, WireResponse
from memos.api.transfers import GZIP, received, sent, temporary
from memos.types import Loaded, Role

router = APIRouter(prefix="/v1", tags=["dumps"], route_class=Gate)


@router.get(
    "/cubes/{cube}/dump",
    operation_id="dump",
    summary="A cube as a file",
    response_class=Response,
)
@needs(Role.ADMIN)
def dump(request: Request, caller: Caller, cube: CubeName) -> Response:
    """All of it, as it is now, to be loaded elsewhere: memories with their history, links, graph,
    notes, policies and embeddings. The header `Memos-Dump` counts the rows by table and has the
    SHA-256 of the file. What leaves here is no longer reached by an erase."""
    file = temporary(request.app.state.service.settings)
    try:
        return sent(file, caller.memory.dump(file, cube=cube))
    except BaseException:
        file.close()
        raise


@router.post(
    "/dumps",
    operation_id="load",
    summary="Make a cube of a file",
    status_code=201,
    response_model=Loaded,
)
@needs(Role.ADMIN, whole_tenant=True)
async def load(
    request: Request, caller: Caller, query: Annotated[LoadQuery, Parameters()]
) -> Response:
    """The body is a dump; the new cube has its name, or `name`. All of it is checked first, and
    then all or nothing is loaded. `jobs` make anew what does not travel; searches need not wait
    for them. 409 if the name is taken, 422 if it is no dump, or a damaged one."""
    if media_type(request) != GZIP:
        raise unsupported(request, GZIP)
    with temporary(request.app.state.service.settings) as file:
        await received(request, file, most=request.app.state.service.settings.dump_bytes)
        loaded = await run_in_threadpool(caller.memory.load, file, name=query.name)
    return WireResponse(loaded, 201)
