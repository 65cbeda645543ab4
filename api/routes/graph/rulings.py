"""What people ruled over what was derived."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fastapi import APIRouter
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.idempotency import Once, Recall, Repeatable
from memos.api.responses import CubeName, RulingId, WireResponse
from memos.errors import RulingNotFound
from memos.types import Role, Ruling
from memos.wire import from_json

router = APIRouter(prefix="/v1/cubes/{cube}", tags=["graph"], route_class=Gate)


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
    return ruled(once, caller, cube, lambda: caller.memory.revoke(id, cube=cube), 200)


def ruled(
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
