"""How the facts of a cube differ between two times."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as Parameters
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.queries import DiffQuery
from memos.api.responses import CubeName, WireResponse
from memos.types import GraphDiff, Role

router = APIRouter(prefix="/v1/cubes/{cube}", tags=["graph"], route_class=Gate)


@router.get(
    "/diff",
    operation_id="diff",
    summary="How facts differ between two times",
    response_model=GraphDiff,
)
@needs(Role.READER)
def diff(caller: Caller, cube: CubeName, query: Annotated[DiffQuery, Parameters()]) -> Response:
    """Those only at the later time, only at the earlier one, and changed ones as they were and
    are."""
    return WireResponse(caller.memory.diff(query.since, query.until, cube=cube, axis=query.axis))
