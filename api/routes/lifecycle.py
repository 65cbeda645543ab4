"""The lives of memories: steps, ways back, and the rules by which they go on by themselves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as InPath
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.idempotency import Recall, Repeatable
from memos.api.responses import CubeName, EventId, MemoryId, WireResponse, versioned
from memos.api.routes.memories import IfMatch, version_again, version_of
from memos.api.schemas.fields import ReasonIn
from memos.api.schemas.lifecycle import RollbackIn, RuleIn
from memos.errors import EventNotFound
from memos.types import Kind, LifecycleRule, Memory, Role

router = APIRouter(prefix="/v1/cubes/{cube}", tags=["lifecycle"], route_class=Gate)


@router.post(
    "/memories/{id}/archive",
    operation_id="archive",
    summary="Take a memory out of search",
    response_model=Memory,
)
@needs(Role.WRITER)
def archive(
    caller: Caller,
    cube: CubeName,
    id: MemoryId,
    once: Repeatable,
    body: ReasonIn | None = None,
    if_match: IfMatch = None,
) -> Response:
    """As `forget`; `restore` brings it back. 409 where its state has no such step."""
    return _step(caller, cube, id, once, body, if_match, "archive")


@router.post(
    "/memories/{id}/freeze",
    operation_id="freeze",
    summary="Keep a memory as it is",
    response_model=Memory,
)
@needs(Role.WRITER)
def freeze(
    caller: Caller,
    cube: CubeName,
    id: MemoryId,
    once: Repeatable,
    body: ReasonIn | None = None,
    if_match: IfMatch = None,
) -> Response:
    """Found as before, but not changed, merged, archived or expired, until it is thawed."""
    return _step(caller, cube, id, once, body, if_match, "freeze")


@router.post(
    "/memories/{id}/thaw",
    operation_id="thaw",
    summary="Undo a freeze",
    response_model=Memory,
)
@needs(Role.WRITER)
def thaw(
    caller: Caller,
    cube: CubeName,
    id: MemoryId,
    once: Repeatable,
    body: ReasonIn | None = None,
    if_match: IfMatch = None,
) -> Response:
    """It is searched again."""
    return _step(caller, cube, id, once, body, if_match, "thaw")


@router.post(
    "/memories/{id}/expire",
    operation_id="expire",
    summary="Say that a memory's time is over",
    response_model=Memory,
)
@needs(Role.WRITER)
def expire(
    caller: Caller,
    cube: CubeName,
    id: MemoryId,
    once: Repeatable,
    body: ReasonIn | None = None,
    if_match: IfMatch = None,
) -> Response:
    """The last state before an erase; `restore` still brings it back."""
    return _step(caller, cube, id, once, body, if_match, "expire")


@router.post(
    "/memories/{id}/rollback",
    operation_id="rollback",
    summary="Go back to a version of a memory",
    response_model=Memory,
)
@needs(Role.WRITER)
def rollback(
    caller: Caller,
    cube: CubeName,
    id: MemoryId,
    once: Repeatable,
    body: RollbackIn,
    if_match: IfMatch = None,
) -> Response:
    """Makes a new version that is what that one was, its state included."""
    version = version_of(if_match)
    return once.do(
        lambda: versioned(
            caller.memory.rollback(
                id, body.version, cube=cube, if_version=version, reason=body.reason
            )
        ),
        recall=version_again(caller, cube, id),
    )


@router.post(
    "/events/{id}/undo",
    operation_id="undo",
    summary="Take back what an event tells of",
    response_model=tuple[Memory, ...],
)
@needs(Role.WRITER)
def undo(
    caller: Caller, cube: CubeName, id: EventId, once: Repeatable, body: ReasonIn | None = None
) -> Response:
    """Its memories as they were before, all or none. 409 if it has no way back, 412 if one of them
    was changed since."""
    reason = body.reason if body else None

    def again(mark: str) -> Response:
        """The memories as they are now: what they were may have been erased since."""
        undone = caller.memory.explain(mark, cube=cube).event
        if undone is None:
            raise EventNotFound(f"there is no event {mark!r}", event_id=mark)
        of_memories = undone.kind.startswith("memory.")
        ids = [step.memory_id for step in undone.undo] if of_memories else []
        return WireResponse(tuple(caller.memory.get(one, cube=cube) for one in ids))

    return once.do(
        lambda: WireResponse(caller.memory.undo(id, cube=cube, reason=reason)),
        recall=Recall(lambda done: id, again),
    )


@router.get(
    "/lifecycle",
    operation_id="lifecycle_rules",
    summary="The rules of a cube",
    response_model=tuple[LifecycleRule, ...],
)
@needs(Role.READER)
def lifecycle_rules(caller: Caller, cube: CubeName) -> Response:
    """By kind of memory."""
    return WireResponse(caller.memory.lifecycle_rules(cube=cube))


@router.put(
    "/lifecycle/{kind}",
    operation_id="set_lifecycle_rule",
    summary="Set the rule for a kind of memory",
    response_model=LifecycleRule,
)
@needs(Role.ADMIN)
def set_lifecycle_rule(
    caller: Caller,
    cube: CubeName,
    kind: Annotated[Kind, InPath(description="The kind of memory.")],
    once: Repeatable,
    body: RuleIn,
) -> Response:
    """Replaces the one there was. 422 for spans that contradict each other."""
    return once.do(
        lambda: WireResponse(
            caller.memory.set_lifecycle_rule(
                kind,
                cube=cube,
                archive_after=body.archive_after,
                expire_after=body.expire_after,
                erase_after=body.erase_after,
            )
        )
    )


def _step(
    caller: Caller,
    cube: str,
    id: str,
    once: Repeatable,
    body: ReasonIn | None,
    if_match: str | None,
    verb: str,
) -> Response:
    version = version_of(if_match)
    reason = body.reason if body else None
    done = getattr(caller.memory, verb)
    return once.do(
        lambda: versioned(done(id, cube=cube, if_version=version, reason=reason)),
        recall=version_again(caller, cube, id),
    )
