"""The predicates and entity types of a cube."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.idempotency import Repeatable
from memos.api.responses import CubeName, TypeName, WireResponse
from memos.api.schemas.graph import PredicateIn, TypeIn
from memos.types import EntityType, PredicateType, Role, Vocabulary

router = APIRouter(prefix="/v1/cubes/{cube}", tags=["graph"], route_class=Gate)


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
