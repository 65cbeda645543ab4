"""Reading facts out of memories."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.idempotency import Repeatable
from memos.api.responses import CubeName, WireResponse
from memos.api.schemas.graph import ExtractIn
from memos.types import Job, Role

router = APIRouter(prefix="/v1/cubes/{cube}", tags=["graph"], route_class=Gate)


@router.post(
    "/extract",
    operation_id="extract",
    summary="Read facts out of the memories",
    status_code=202,
    response_model=Job,
)
@needs(Role.ADMIN)
def extract(
    caller: Caller, cube: CubeName, once: Repeatable, body: ExtractIn | None = None
) -> Response:
    """A job that reads what has not been read, with `again` everything anew. After `add` it comes
    by itself."""
    again = body.again if body else False
    return once.do(lambda: WireResponse(caller.memory.extract(cube=cube, again=again), 202))
