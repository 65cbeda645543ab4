"""Notes of memories, and summaries of sessions and communities."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as Parameters
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.idempotency import Recall, Repeatable
from memos.api.queries import Known, SummariesQuery
from memos.api.responses import CubeName, MemoryId, WireResponse
from memos.api.schemas.fields import ReasonIn
from memos.errors import NoteNotFound
from memos.types import Job, Note, Page, Role, Summary
from memos.wire import from_json

router = APIRouter(prefix="/v1/cubes/{cube}", tags=["notes"], route_class=Gate)


@router.get(
    "/memories/{id}/note", operation_id="note", summary="A memory's note", response_model=Note
)
@needs(Role.READER)
def note(
    caller: Caller, cube: CubeName, id: MemoryId, query: Annotated[Known, Parameters()]
) -> Response:
    """What it is about: keywords, tags and a sentence of context."""
    return WireResponse(caller.memory.note(id, cube=cube, known_as_of=query.known_as_of))


@router.get(
    "/memories/{id}/note/history",
    operation_id="note_history",
    summary="All revisions of a memory's note",
    response_model=tuple[Note, ...],
)
@needs(Role.READER)
def note_history(caller: Caller, cube: CubeName, id: MemoryId) -> Response:
    """Oldest first; `cause` is the memory that brought a revision about."""
    return WireResponse(caller.memory.note_history(id, cube=cube))


@router.post(
    "/memories/{id}/note/undo",
    operation_id="undo_note",
    summary="Undo the last change of a note",
    response_model=Note,
)
@needs(Role.WRITER)
def undo_note(
    caller: Caller, cube: CubeName, id: MemoryId, once: Repeatable, body: ReasonIn | None = None
) -> Response:
    """The former note becomes the present one, as a new revision."""
    reason = body.reason if body else None

    def again(revision: str) -> Response:
        for found in caller.memory.note_history(id, cube=cube):
            if found.revision == int(revision):
                return WireResponse(found)
        raise NoteNotFound(
            f"the request was done, but memory {id!r} has been erased since", memory_id=id
        )

    # Like a memory's text, a note is not kept: an erase could not reach it.
    recall = Recall(lambda done: str(from_json(bytes(done.body), Note).revision), again)
    return once.do(
        lambda: WireResponse(caller.memory.undo_note(id, cube=cube, reason=reason)), recall=recall
    )


@router.get(
    "/summaries", operation_id="summaries", summary="List summaries", response_model=Page[Summary]
)
@needs(Role.READER)
def summaries(
    caller: Caller, cube: CubeName, query: Annotated[SummariesQuery, Parameters()]
) -> Response:
    """Of sessions, and of communities of entities."""
    return WireResponse(
        caller.memory.summaries(
            cube=cube,
            kind=query.kind,
            known_as_of=query.known_as_of,
            cursor=query.cursor,
            limit=query.limit,
        )
    )


@router.post(
    "/summarise",
    operation_id="summarise",
    summary="Summarise sessions and communities",
    status_code=202,
    response_model=Job,
)
@needs(Role.ADMIN)
def summarise(caller: Caller, cube: CubeName, once: Repeatable) -> Response:
    """A job that makes them anew."""
    return once.do(lambda: WireResponse(caller.memory.summarise(cube=cube), 202))
