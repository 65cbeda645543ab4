"""API keys of the tenant: issue, list, revoke. For admins whose key is not limited to cubes."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.idempotency import Repeatable
from memos.api.responses import KeyId, WireResponse
from memos.api.schemas.keys import KeyIn
from memos.types import ApiKey, IssuedKey, Role

router = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=Gate)


@router.post(
    "",
    operation_id="create_key",
    summary="Issue a key",
    status_code=201,
    response_model=IssuedKey,
)
@needs(Role.ADMIN, whole_tenant=True)
def create_key(caller: Caller, once: Repeatable, body: KeyIn) -> Response:
    """The secret is in this answer and nowhere else. For that reason the same Idempotency-Key again
    is a 409 here, not the first answer."""

    def write() -> Response:
        issued = caller.memory.create_key(body.name, role=body.role, cubes=tuple(body.cubes))
        return WireResponse(issued, 201, {"Cache-Control": "no-store"})

    return once.do(write, secret=True)


@router.get("", operation_id="keys", summary="List keys", response_model=tuple[ApiKey, ...])
@needs(Role.ADMIN, whole_tenant=True)
def keys(caller: Caller) -> Response:
    """All of the tenant, revoked ones too, without their secrets."""
    return WireResponse(caller.memory.keys())


@router.delete("/{id}", operation_id="revoke_key", summary="Revoke a key", response_model=ApiKey)
@needs(Role.ADMIN, whole_tenant=True)
def revoke_key(caller: Caller, id: KeyId, once: Repeatable) -> Response:
    """At once and for good."""
    return once.do(lambda: WireResponse(caller.memory.revoke_key(id)))
