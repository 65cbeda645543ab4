"""Whether the process lives, whether it can serve, and what it has counted. No key needed."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from memos import __version__
from memos.api.metrics import CONTENT_TYPE
from memos.api.responses import WireResponse
from memos.errors import MemosError, ServiceUnavailable

log = logging.getLogger("memos.api")

router = APIRouter(tags=["health"])


@dataclass(frozen=True, kw_only=True)
class Health:
    """`status` is `ok` (lives) or `ready` (can serve)."""

    status: str
    version: str


@router.get(
    "/health", operation_id="health", summary="Whether the process lives", response_model=Health
)
async def health() -> Response:
    """Asks no store, so that it answers also when they don't."""
    return WireResponse(Health(status="ok", version=__version__))


@router.get("/ready", operation_id="ready", summary="Whether it can serve", response_model=Health)
def ready(request: Request) -> Response:
    """503 while the database can't be used. Why is said in the log only: nobody signs in here, and
    it names files and hosts."""
    try:
        request.app.state.service.ready()
    except MemosError as error:
        log.warning("not ready: %s", error)
        raise ServiceUnavailable(
            "the database can't be used now; the service's log says why"
        ) from error
    return WireResponse(Health(status="ready", version=__version__))


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request) -> Response:
    """Requests, searches, memories and jobs; nothing about any tenant."""
    return Response(request.app.state.metrics.exposition(), media_type=CONTENT_TYPE)
