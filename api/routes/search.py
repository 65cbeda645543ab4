"""Search."""

from __future__ import annotations

from dataclasses import fields

from fastapi import APIRouter, Request
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.responses import CubeName, WireResponse
from memos.api.schemas.search import SearchIn
from memos.types import Role, SearchResult

router = APIRouter(prefix="/v1/cubes/{cube}", tags=["search"], route_class=Gate)


@router.post(
    "/search",
    operation_id="search",
    summary="Search memories",
    response_model=SearchResult,
)
@needs(Role.READER)
def search(request: Request, caller: Caller, cube: CubeName, body: SearchIn) -> Response:
    """The memories that answer the text best, with the parts of each score. No hits means that
    nothing matched; a failure is an error. Sees everything that was acknowledged before."""
    wanted = body.core()
    given = {spec.name: getattr(wanted, spec.name) for spec in fields(wanted)}
    result = caller.memory.search(given.pop("text"), cube=cube, **given)
    request.app.state.metrics.search(result)
    return WireResponse(result)
