"""Parametric memories: adapters that the local model answers with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as Parameters
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.idempotency import Repeatable
from memos.api.queries import Paging, WaitQuery
from memos.api.responses import AdapterId, CubeName, WireResponse, nothing
from memos.api.schemas.adapters import DistillIn, MergeAdaptersIn
from memos.types import Adapter, Page, Role

router = APIRouter(prefix="/v1/cubes/{cube}", tags=["adapters"], route_class=Gate)


@router.post(
    "/adapters",
    operation_id="distill",
    summary="Teach the local model memories",
    status_code=202,
    response_model=Adapter,
    responses={201: {"model": Adapter, "description": "It is trained and has passed."}},
)
@needs(Role.WRITER)
def distill(
    caller: Caller,
    cube: CubeName,
    body: DistillIn,
    query: Annotated[WaitQuery, Parameters()],
    once: Repeatable,
) -> Response:
    """Answers then come from the model itself, with nothing in the prompt. A job trains it, judges
    it, and attaches it if it passes."""
    status = 201 if query.wait else 202
    return once.do(
        lambda: WireResponse(
            caller.memory.distill(cube=cube, wait=query.wait, **body.options()), status
        )
    )


@router.post(
    "/adapters/merge",
    operation_id="merge_adapters",
    summary="Make several adapters into one",
    status_code=202,
    response_model=Adapter,
    responses={201: {"model": Adapter, "description": "It is made and has passed."}},
)
@needs(Role.WRITER)
def merge_adapters(
    caller: Caller,
    cube: CubeName,
    body: MergeAdaptersIn,
    query: Annotated[WaitQuery, Parameters()],
    once: Repeatable,
) -> Response:
    """Nothing is trained; it is judged as any other. Those that it is made of stay."""
    status = 201 if query.wait else 202
    return once.do(
        lambda: WireResponse(
            caller.memory.merge_adapters(cube=cube, wait=query.wait, **body.options()), status
        )
    )


@router.get(
    "/adapters",
    operation_id="adapters",
    summary="List adapters",
    response_model=Page[Adapter],
)
@needs(Role.READER)
def adapters(caller: Caller, cube: CubeName, query: Annotated[Paging, Parameters()]) -> Response:
    """Oldest first, with lineage and reports."""
    return WireResponse(caller.memory.adapters(cube=cube, cursor=query.cursor, limit=query.limit))


@router.get(
    "/adapters/{id}",
    operation_id="adapter",
    summary="An adapter with its lineage and report",
    response_model=Adapter,
)
@needs(Role.READER)
def adapter(caller: Caller, cube: CubeName, id: AdapterId) -> Response:
    """`state` is `expired` if a source has changed or was forgotten, `archived` if it did not pass;
    `reason` says why."""
    return WireResponse(caller.memory.adapter(id, cube=cube))


@router.delete(
    "/adapters/{id}",
    operation_id="drop_adapter",
    summary="Delete an adapter",
    status_code=204,
)
@needs(Role.WRITER)
def drop_adapter(caller: Caller, cube: CubeName, id: AdapterId, once: Repeatable) -> Response:
    """With its file; ends its training. The memories that it learnt stay."""

    def write() -> Response:
        caller.memory.drop_adapter(id, cube=cube)
        return nothing()

    return once.do(write)


@router.post(
    "/adapters/{id}/evaluate",
    operation_id="evaluate",
    summary="Judge an adapter again",
    response_model=Adapter,
)
@needs(Role.WRITER)
def evaluate(caller: Caller, cube: CubeName, id: AdapterId) -> Response:
    """What it recalls of its memories, and what it should leave alone."""
    return WireResponse(caller.memory.evaluate(id, cube=cube))


@router.post(
    "/adapters/{id}/attach",
    operation_id="attach",
    summary="Attach an adapter",
    response_model=Adapter,
)
@needs(Role.WRITER)
def attach(caller: Caller, cube: CubeName, id: AdapterId) -> Response:
    """All answers of the cube are given with it from here on."""
    return WireResponse(caller.memory.attach(id, cube=cube))


@router.post(
    "/adapters/{id}/detach",
    operation_id="detach",
    summary="Detach an adapter",
    response_model=Adapter,
)
@needs(Role.WRITER)
def detach(caller: Caller, cube: CubeName, id: AdapterId) -> Response:
    """Answers are given without it again."""
    return WireResponse(caller.memory.detach(id, cube=cube))


@router.post(
    "/adapters/{id}/rollback",
    operation_id="rollback_adapter",
    summary="Go back to the version before",
    response_model=Adapter,
)
@needs(Role.WRITER)
def rollback_adapter(caller: Caller, cube: CubeName, id: AdapterId) -> Response:
    """Attaches the newest usable version of the same name before this one, and returns that."""
    return WireResponse(caller.memory.rollback_adapter(id, cube=cube))
