"""Activation memories, and the local model that goes on from there."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Query as Parameters
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.idempotency import Recall, Repeatable
from memos.api.queries import AddQuery, Paging
from memos.api.responses import ActivationId, CubeName, WireResponse, nothing
from memos.api.schemas.activations import (
    CompileIn,
    GenerateBatchIn,
    GenerateIn,
    GenerateJoinedIn,
    MeasureJoiningIn,
)
from memos.api.streams import streamed
from memos.types import Activation, ActivationStats, Answers, Generated, JoinReport, Page, Role
from memos.wire import from_json

router = APIRouter(prefix="/v1/cubes/{cube}", tags=["activations"], route_class=Gate)


@router.post(
    "/activations",
    operation_id="compile",
    summary="Compile memories for the local model",
    status_code=201,
    response_model=Activation,
    responses={202: {"model": Activation, "description": "A job computes its states."}},
)
@needs(Role.WRITER)
def compile(
    caller: Caller,
    cube: CubeName,
    body: CompileIn,
    query: Annotated[AddQuery, Parameters()],
    once: Repeatable,
) -> Response:
    """The model reads them once; answers go on from what was kept of that."""
    status = 201 if query.wait else 202

    # A text of one's own is not kept with the key: dropping the activation could not reach it.
    recall = Recall(
        lambda done: from_json(bytes(done.body), Activation).id,
        lambda id: WireResponse(caller.memory.activation(id, cube=cube), status),
    )
    return once.do(
        lambda: WireResponse(
            caller.memory.compile(cube=cube, wait=query.wait, **body.options()), status
        ),
        recall=recall,
    )


@router.get(
    "/activations",
    operation_id="activations",
    summary="List activation memories",
    response_model=Page[Activation],
)
@needs(Role.READER)
def activations(caller: Caller, cube: CubeName, query: Annotated[Paging, Parameters()]) -> Response:
    """Oldest first, without their texts."""
    return WireResponse(
        caller.memory.activations(cube=cube, cursor=query.cursor, limit=query.limit)
    )


@router.get(
    "/activations/{id}",
    operation_id="activation",
    summary="An activation memory with its text",
    response_model=Activation,
)
@needs(Role.READER)
def activation(caller: Caller, cube: CubeName, id: ActivationId) -> Response:
    """`state` is `expired` if a source has changed or was forgotten; `reason` says which."""
    return WireResponse(caller.memory.activation(id, cube=cube))


@router.delete(
    "/activations/{id}",
    operation_id="drop",
    summary="Delete an activation memory",
    status_code=204,
)
@needs(Role.WRITER)
def drop(caller: Caller, cube: CubeName, id: ActivationId, once: Repeatable) -> Response:
    """With its states. The memories that it was compiled from stay."""

    def write() -> Response:
        caller.memory.drop(id, cube=cube)
        return nothing()

    return once.do(write)


@router.post(
    "/activations/{id}/warm",
    operation_id="warm",
    summary="Bring an activation memory near",
    response_model=Activation,
)
@needs(Role.READER)
def warm(caller: Caller, cube: CubeName, id: ActivationId) -> Response:
    """Loads its states before they are needed; what is missing is computed."""
    return WireResponse(caller.memory.warm(id, cube=cube))


@router.post(
    "/activations/{id}/pin",
    operation_id="pin",
    summary="Pin an activation memory",
    response_model=Activation,
)
@needs(Role.WRITER)
def pin(caller: Caller, cube: CubeName, id: ActivationId) -> Response:
    """Its states are not evicted for others."""
    return WireResponse(caller.memory.pin(id, cube=cube))


@router.post(
    "/activations/{id}/unpin",
    operation_id="unpin",
    summary="Unpin an activation memory",
    response_model=Activation,
)
@needs(Role.WRITER)
def unpin(caller: Caller, cube: CubeName, id: ActivationId) -> Response:
    """Its states may be evicted again."""
    return WireResponse(caller.memory.unpin(id, cube=cube))


@router.get(
    "/activation-stats",
    operation_id="activation_stats",
    summary="What a cube's activation memories hold",
    response_model=ActivationStats,
)
@needs(Role.READER)
def activation_stats(caller: Caller, cube: CubeName) -> Response:
    """How many there are, in which state, how large, how often used."""
    return WireResponse(caller.memory.activation_stats(cube=cube))


@router.post(
    "/generate",
    operation_id="generate",
    summary="Ask the local model",
    response_model=Generated,
)
@needs(Role.READER)
def generate(caller: Caller, cube: CubeName, body: GenerateIn) -> Response:
    """The whole answer, begun at an activation memory's states if one is named."""
    return WireResponse(caller.memory.generate(body.asked(), cube=cube, **body.options()))


@router.post(
    "/generate/stream",
    operation_id="generate_stream",
    summary="Ask the local model, answer as it comes",
)
@needs(Role.READER)
def generate_stream(request: Request, caller: Caller, cube: CubeName, body: GenerateIn) -> Response:
    """One line of JSON for each piece of text; the last one has `done`, or `problem`."""
    pieces = caller.memory.generate_stream(body.asked(), cube=cube, **body.options())
    return streamed(request, pieces)


@router.post(
    "/generate/batch",
    operation_id="generate_batch",
    summary="Ask the local model several things at once",
    response_model=Answers,
)
@needs(Role.READER)
def generate_batch(caller: Caller, cube: CubeName, body: GenerateBatchIn) -> Response:
    """Each answer is what it would be alone; what the prompts have in common is computed once."""
    return WireResponse(caller.memory.generate_batch(body.asked(), cube=cube, **body.options()))


@router.post(
    "/generate/joined",
    operation_id="generate_joined",
    summary="Ask the local model after several activation memories",
    response_model=Generated,
)
@needs(Role.READER)
def generate_joined(caller: Caller, cube: CubeName, body: GenerateJoinedIn) -> Response:
    """From the states of each where that was measured to change next to nothing; else all is read
    in full, and `reason` says why."""
    return WireResponse(caller.memory.generate_joined(body.asked(), cube=cube, **body.options()))


@router.post(
    "/joining",
    operation_id="measure_joining",
    summary="Measure answers from joined activation memories",
    response_model=JoinReport,
)
@needs(Role.WRITER)
def measure_joining(caller: Caller, cube: CubeName, body: MeasureJoiningIn) -> Response:
    """What is found decides for the cube, until it is measured again."""
    return WireResponse(caller.memory.measure_joining(cube=cube, **body.options()))


@router.get(
    "/joining",
    operation_id="joining",
    summary="What was measured of joining",
    response_model=JoinReport,
)
@needs(Role.READER)
def joining(
    caller: Caller, cube: CubeName, adapter: Annotated[str | None, Parameters()] = None
) -> Response:
    """404 if nothing was, with the model and adapter at work."""
    return WireResponse(caller.memory.joining(cube=cube, adapter=adapter))
