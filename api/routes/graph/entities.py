"""Entities: their names, times, neighbours and paths, and whether two are one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as Parameters
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.idempotency import Repeatable
from memos.api.queries import EntitiesQuery, Known, NeighboursQuery, PathsQuery, TimelineQuery
from memos.api.responses import CubeName, EntityName, WireResponse
from memos.api.routes.graph.rulings import ruled
from memos.api.schemas.graph import MergeIn, SplitIn
from memos.types import Entity, Fact, Neighbour, Page, Path, Role, Ruling

router = APIRouter(prefix="/v1/cubes/{cube}", tags=["graph"], route_class=Gate)


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
    return ruled(
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
    return ruled(
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
