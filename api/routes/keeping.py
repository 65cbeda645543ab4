"""How memories are kept: consolidation, forgetting, erasure, audit, and the context of an agent."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as Parameters
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.idempotency import Repeatable
from memos.api.queries import PlanQuery, SegmentsQuery
from memos.api.responses import CubeName, MemoryId, WireResponse
from memos.api.routes.memories import IfMatch, version_of
from memos.api.schemas.fields import ReasonIn
from memos.api.schemas.keeping import ContextIn, PolicyIn, ReceiptIn
from memos.types import (
    Audit,
    Context,
    ErasureReceipt,
    Job,
    KeepingPlan,
    Lineage,
    Policy,
    ReceiptCheck,
    Role,
    Segment,
    Strength,
)

router = APIRouter(prefix="/v1/cubes/{cube}", tags=["keeping"], route_class=Gate)


@router.get(
    "/plan", operation_id="plan", summary="What a run would do now", response_model=KeepingPlan
)
@needs(Role.READER)
def plan(caller: Caller, cube: CubeName, query: Annotated[PlanQuery, Parameters()]) -> Response:
    """Nothing is changed. Reads the whole cube."""
    return WireResponse(caller.memory.plan(query.work, cube=cube, limit=query.limit))


@router.post(
    "/consolidate",
    operation_id="consolidate",
    summary="Consolidate the memories",
    status_code=202,
    response_model=Job,
)
@needs(Role.ADMIN)
def consolidate(caller: Caller, cube: CubeName, once: Repeatable) -> Response:
    """A job that merges what says the same, retires what no longer holds, and makes memories of
    what recurs and of hot segments, and summarises sessions and their segments. Each action is an
    event that can be undone."""
    return once.do(lambda: WireResponse(caller.memory.consolidate(cube=cube), 202))


@router.post(
    "/sweep",
    operation_id="sweep",
    summary="Forget by the cube's policy",
    status_code=202,
    response_model=Job,
)
@needs(Role.ADMIN)
def sweep(caller: Caller, cube: CubeName, once: Repeatable) -> Response:
    """A job that archives what has faded and what is over the budgets."""
    return once.do(lambda: WireResponse(caller.memory.sweep(cube=cube), 202))


@router.get("/policy", operation_id="policy", summary="A cube's policy", response_model=Policy)
@needs(Role.READER)
def policy(caller: Caller, cube: CubeName) -> Response:
    """The default one if it has none of its own."""
    return WireResponse(caller.memory.policy(cube=cube))


@router.put(
    "/policy", operation_id="set_policy", summary="Set a cube's policy", response_model=Policy
)
@needs(Role.ADMIN)
def set_policy(caller: Caller, cube: CubeName, once: Repeatable, body: PolicyIn) -> Response:
    """Replaces it as a whole; 422 if its rules can't all hold."""
    return once.do(lambda: WireResponse(caller.memory.set_policy(body.core(), cube=cube)))


@router.get(
    "/memories/{id}/lineage",
    operation_id="lineage",
    summary="What a memory comes from",
    response_model=tuple[Lineage, ...],
)
@needs(Role.READER)
def lineage(caller: Caller, cube: CubeName, id: MemoryId) -> Response:
    """And what comes from it, or stands for it."""
    return WireResponse(caller.memory.lineage(id, cube=cube))


@router.get(
    "/memories/{id}/strength",
    operation_id="strength",
    summary="How strongly a memory is held",
    response_model=Strength,
)
@needs(Role.READER)
def strength(caller: Caller, cube: CubeName, id: MemoryId) -> Response:
    """Now: importance times retention, and what they follow from."""
    return WireResponse(caller.memory.strength(id, cube=cube))


@router.post(
    "/memories/{id}/pin",
    operation_id="pin_memory",
    summary="Pin a memory",
    response_model=Strength,
)
@needs(Role.WRITER)
def pin_memory(caller: Caller, cube: CubeName, id: MemoryId, once: Repeatable) -> Response:
    """It is not merged away, archived or evicted by itself."""
    return once.do(lambda: WireResponse(caller.memory.pin_memory(id, cube=cube)))


@router.post(
    "/memories/{id}/unpin",
    operation_id="unpin_memory",
    summary="Unpin a memory",
    response_model=Strength,
)
@needs(Role.WRITER)
def unpin_memory(caller: Caller, cube: CubeName, id: MemoryId, once: Repeatable) -> Response:
    """Undoes the pinning."""
    return once.do(lambda: WireResponse(caller.memory.unpin_memory(id, cube=cube)))


@router.post(
    "/memories/{id}/erase",
    operation_id="erase",
    summary="Erase a memory for good",
    response_model=ErasureReceipt,
)
@needs(Role.WRITER)
def erase(
    caller: Caller,
    cube: CubeName,
    id: MemoryId,
    once: Repeatable,
    body: ReasonIn | None = None,
    if_match: IfMatch = None,
) -> Response:
    """From every store, with what was merged into it. The signed receipt names each."""
    version, reason = version_of(if_match), body.reason if body else None
    return once.do(
        lambda: WireResponse(caller.memory.erase(id, cube=cube, if_version=version, reason=reason))
    )


@router.post(
    "/receipts/check",
    operation_id="check_receipt",
    summary="Check a receipt",
    response_model=ReceiptCheck,
)
@needs(Role.READER)
def check_receipt(caller: Caller, cube: CubeName, body: ReceiptIn) -> Response:
    """Whether this service signed it, as it is."""
    return WireResponse(caller.memory.check_receipt(body.core(), cube=cube))


@router.get("/audit", operation_id="audit", summary="Audit a cube", response_model=Audit)
@needs(Role.READER)
def audit(caller: Caller, cube: CubeName) -> Response:
    """How much of it is duplicate, stale, looped or junk. Reads the whole cube."""
    return WireResponse(caller.memory.audit(cube=cube))


@router.get(
    "/segments",
    operation_id="segments",
    summary="A session by topics",
    response_model=tuple[Segment, ...],
)
@needs(Role.READER)
def segments(
    caller: Caller, cube: CubeName, query: Annotated[SegmentsQuery, Parameters()]
) -> Response:
    """Its segments in order, each with its heat."""
    return WireResponse(
        caller.memory.segments(query.session_id, user_id=query.user_id, cube=cube, **query.view())
    )


@router.post(
    "/context",
    operation_id="context",
    summary="What to put before an agent",
    response_model=Context,
)
@needs(Role.READER)
def context(caller: Caller, cube: CubeName, body: ContextIn) -> Response:
    """Within the token budget, what changes least first."""
    given = {name: getattr(body, name) for name in type(body).model_fields}
    return WireResponse(caller.memory.context(cube=cube, **given))
