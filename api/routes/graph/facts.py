"""Facts: asking for them, adding them, why they are believed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as Parameters
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.idempotency import Repeatable, mark_replayed
from memos.api.queries import FactsQuery, Known
from memos.api.responses import CubeName, FactId, WireResponse
from memos.api.routes.graph.rulings import ruled
from memos.api.schemas.fields import ReasonIn
from memos.api.schemas.graph import AddFactsIn, RecordsIn
from memos.types import AddedFacts, Fact, FactExplanation, Page, Role, Ruling

router = APIRouter(prefix="/v1/cubes/{cube}", tags=["graph"], route_class=Gate)


@router.get("/facts", operation_id="facts", summary="Ask for facts", response_model=Page[Fact])
@needs(Role.READER)
def facts(caller: Caller, cube: CubeName, query: Annotated[FactsQuery, Parameters()]) -> Response:
    """A triple with `?` where nothing is given. Without `as_of` all facts that are believed,
    whenever they were true."""
    return WireResponse(
        caller.memory.facts(
            cube=cube,
            subject=query.subject,
            predicate=query.predicate,
            object=query.object,
            since=query.since,
            until=query.until,
            min_confidence=query.min_confidence,
            cursor=query.cursor,
            limit=query.limit,
            **query.view(),
        )
    )


@router.post(
    "/facts",
    operation_id="add_facts",
    summary="Add facts",
    status_code=201,
    response_model=AddedFacts,
)
@needs(Role.WRITER)
def add_facts(caller: Caller, cube: CubeName, once: Repeatable, body: AddFactsIn) -> Response:
    """Triples, or records to read them from. Each comes with a memory that says it in a sentence;
    forgetting that memory forgets the fact. Durable, and answered by reads at once."""
    replayed = once.seen()
    if isinstance(body, RecordsIn):
        added = caller.memory.add_records(
            body.records,
            cube=cube,
            name_field=body.name_field,
            type=body.type,
            time_field=body.time_field,
            session_id=body.session_id,
            idempotency_key=once.key,
        )
    else:
        added = caller.memory.add_facts(
            [fact.core() for fact in body.facts],
            cube=cube,
            session_id=body.session_id,
            idempotency_key=once.key,
        )
    answer = WireResponse(added, 201)
    return mark_replayed(answer) if replayed else answer


@router.get("/facts/{id}", operation_id="fact", summary="A fact", response_model=Fact)
@needs(Role.READER)
def fact(
    caller: Caller, cube: CubeName, id: FactId, query: Annotated[Known, Parameters()]
) -> Response:
    """As it is believed, with the places in memories that say it."""
    return WireResponse(caller.memory.fact(id, cube=cube, known_as_of=query.known_as_of))


@router.get(
    "/facts/{id}/why",
    operation_id="why",
    summary="Why a fact is believed",
    response_model=FactExplanation,
)
@needs(Role.READER)
def why(
    caller: Caller, cube: CubeName, id: FactId, query: Annotated[Known, Parameters()]
) -> Response:
    """What asserts it, what closed it and by which rule, and all that was believed about it."""
    return WireResponse(caller.memory.why(id, cube=cube, known_as_of=query.known_as_of))


@router.post(
    "/facts/{id}/keep-open",
    operation_id="keep_open",
    summary="Undo the closing of a fact",
    status_code=201,
    response_model=Ruling,
)
@needs(Role.WRITER)
def keep_open(
    caller: Caller, cube: CubeName, id: FactId, once: Repeatable, body: ReasonIn | None = None
) -> Response:
    """What closed it stays true beside it. Revoking the ruling closes it again."""
    reason = body.reason if body else None
    return ruled(
        once, caller, cube, lambda: caller.memory.keep_open(id, cube=cube, reason=reason), 201
    )
