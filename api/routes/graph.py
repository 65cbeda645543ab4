"""The graph: facts and why they are believed, entities, what people ruled, the vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as Parameters
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.idempotency import Once, Recall, Repeatable, mark_replayed
from memos.api.queries import (
    DiffQuery,
    EntitiesQuery,
    FactsQuery,
    Known,
    NeighboursQuery,
    PathsQuery,
    TimelineQuery,
)
from memos.api.responses import (
    CubeName,
    EntityName,
    FactId,
    RulingId,
    TypeName,
    WireResponse,
)
from memos.api.schemas.fields import ReasonIn
from memos.api.schemas.graph import (
    AddFactsIn,
    ExtractIn,
    MergeIn,
    PredicateIn,
    RecordsIn,
    SplitIn,
    TypeIn,
)
from memos.errors import RulingNotFound
from memos.types import (
    AddedFacts,
    Entity,
    EntityType,
    Fact,
    FactExplanation,
    GraphDiff,
    Job,
    Neighbour,
    Page,
    Path,
    PredicateType,
    Role,
    Ruling,
    Vocabulary,
)
from memos.wire import from_json

router = APIRouter(prefix="/v1/cubes/{cube}", tags=["graph"], route_class=Gate)


# Facts


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
    return _ruled(
        once, caller, cube, lambda: caller.memory.keep_open(id, cube=cube, reason=reason), 201
    )


# Entities


@router.get(
    "/entities", operation_id="entities", summary="List entities", response_model=Page[Entity]
)
@needs(Role.READER)
def entities(
    caller: Caller, cube: CubeName, query: Annotated[EntitiesQuery, Parameters()]
) -> Response:
    """Those that stand for themselves; of merged ones that into which they were merged."""
    return WireResponse(
        caller.memory.entities(
            cube=cube,
            text=query.text,
            type=query.type,
            known_as_of=query.known_as_of,
            cursor=query.cursor,
            limit=query.limit,
        )
    )


@router.get(
    "/entities/{entity:path}/timeline",
    operation_id="timeline",
    summary="The facts of an entity in order of time",
    response_model=tuple[Fact, ...],
)
@needs(Role.READER)
def timeline(
    caller: Caller,
    cube: CubeName,
    entity: EntityName,
    query: Annotated[TimelineQuery, Parameters()],
) -> Response:
    """By when they became true; past ones too."""
    return WireResponse(
        caller.memory.timeline(
            entity,
            cube=cube,
            predicate=query.predicate,
            known_as_of=query.known_as_of,
            since=query.since,
            until=query.until,
            limit=query.limit,
        )
    )


@router.get(
    "/entities/{entity:path}/neighbours",
    operation_id="neighbours",
    summary="The entities around an entity",
    response_model=tuple[Neighbour, ...],
)
@needs(Role.READER)
def neighbours(
    caller: Caller,
    cube: CubeName,
    entity: EntityName,
    query: Annotated[NeighboursQuery, Parameters()],
) -> Response:
    """Nearest first, each with the facts that lead to it."""
    return WireResponse(
        caller.memory.neighbours(
            entity, cube=cube, hops=query.hops, limit=query.limit, **query.view()
        )
    )


@router.get(
    "/entities/{entity:path}/paths",
    operation_id="paths",
    summary="How two entities are connected",
    response_model=tuple[Path, ...],
)
@needs(Role.READER)
def paths(
    caller: Caller, cube: CubeName, entity: EntityName, query: Annotated[PathsQuery, Parameters()]
) -> Response:
    """Step by step, each with the memories that say it. None found is an empty list."""
    return WireResponse(
        caller.memory.paths(
            entity,
            query.target,
            cube=cube,
            max_hops=query.max_hops,
            limit=query.limit,
            **query.view(),
        )
    )


@router.post(
    "/entities/{entity:path}/merge",
    operation_id="merge_entities",
    summary="Say that two entities are one",
    status_code=201,
    response_model=Ruling,
)
@needs(Role.WRITER)
def merge_entities(
    caller: Caller, cube: CubeName, entity: EntityName, once: Repeatable, body: MergeIn
) -> Response:
    """Names, mentions and facts go over to the other. Revoking the ruling parts them again."""
    return _ruled(
        once,
        caller,
        cube,
        lambda: caller.memory.merge_entities(entity, body.into, cube=cube, reason=body.reason),
        201,
    )


@router.post(
    "/entities/{entity:path}/split",
    operation_id="split_entity",
    summary="Say that an entity is two",
    status_code=201,
    response_model=Ruling,
)
@needs(Role.WRITER)
def split_entity(
    caller: Caller, cube: CubeName, entity: EntityName, once: Repeatable, body: SplitIn
) -> Response:
    """The facts and memories named move to a new entity. Revoking the ruling moves them back."""
    return _ruled(
        once,
        caller,
        cube,
        lambda: caller.memory.split_entity(
            entity,
            name=body.name,
            type=body.type,
            facts=tuple(body.facts),
            memories=tuple(body.memories),
            cube=cube,
            reason=body.reason,
        ),
        201,
    )


# After the routes below it, since a name may hold a slash: AC%2FDC.
@router.get(
    "/entities/{entity:path}", operation_id="entity", summary="An entity", response_model=Entity
)
@needs(Role.READER)
def entity(
    caller: Caller, cube: CubeName, entity: EntityName, query: Annotated[Known, Parameters()]
) -> Response:
    """With all its names. By a merged one's id or name: what stands for it."""
    return WireResponse(caller.memory.entity(entity, cube=cube, known_as_of=query.known_as_of))


# The whole


@router.get(
    "/rulings",
    operation_id="rulings",
    summary="What people ruled",
    response_model=tuple[Ruling, ...],
)
@needs(Role.READER)
def rulings(caller: Caller, cube: CubeName) -> Response:
    """Oldest first, revoked ones included."""
    return WireResponse(caller.memory.rulings(cube=cube))


@router.delete(
    "/rulings/{id}", operation_id="revoke", summary="Undo a ruling", response_model=Ruling
)
@needs(Role.WRITER)
def revoke(caller: Caller, cube: CubeName, id: RulingId, once: Repeatable) -> Response:
    """Restores what was before. 409 if it was revoked already."""
    return _ruled(once, caller, cube, lambda: caller.memory.revoke(id, cube=cube), 200)


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


@router.get(
    "/vocabulary",
    operation_id="vocabulary",
    summary="The predicates and entity types",
    response_model=Vocabulary,
)
@needs(Role.READER)
def vocabulary(caller: Caller, cube: CubeName) -> Response:
    """The built-in ones and the cube's own."""
    return WireResponse(caller.memory.vocabulary(cube=cube))


@router.put(
    "/vocabulary/predicates/{name}",
    operation_id="define_predicate",
    summary="Define a predicate",
    response_model=PredicateType,
)
@needs(Role.ADMIN)
def define_predicate(
    caller: Caller, cube: CubeName, name: TypeName, once: Repeatable, body: PredicateIn
) -> Response:
    """Replaces one of this name; its facts follow anew from what was asserted."""
    return once.do(
        lambda: WireResponse(caller.memory.define_predicate(name, cube=cube, **body.keywords()))
    )


@router.put(
    "/vocabulary/types/{name}",
    operation_id="define_type",
    summary="Define an entity type",
    response_model=EntityType,
)
@needs(Role.ADMIN)
def define_type(
    caller: Caller, cube: CubeName, name: TypeName, once: Repeatable, body: TypeIn
) -> Response:
    """Replaces one of this name."""
    return once.do(
        lambda: WireResponse(
            caller.memory.define_type(
                name, cube=cube, description=body.description, parent=body.parent
            )
        )
    )


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


def _ruled(
    once: Once, caller: Caller, cube: str, rule: Callable[[], Ruling], status: int
) -> Response:
    """A ruling's answer is not kept, since an erase could not reach its reason: it is read again,
    as it was when it was made."""

    def answer(mark: str) -> Response:
        for found in caller.memory.rulings(cube=cube):
            if found.id == mark:
                # Of a making, the answer is the same after it was revoked.
                same = found if status == 200 else replace(found, revoked_at=None)
                return WireResponse(same, status)
        raise RulingNotFound(
            f"the request was done, but ruling {mark!r} has been erased since", ruling_id=mark
        )

    recall = Recall(lambda done: from_json(bytes(done.body), Ruling).id, answer)
    return once.do(lambda: WireResponse(rule(), status), recall=recall)
