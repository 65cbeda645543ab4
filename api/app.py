"""The FastAPI application around a service. Knows routes and layers; starts no server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anyio import CapacityLimiter
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from memos import __version__
from memos.api import errors, openapi
from memos.api.batches import AT_ONCE
from memos.api.idempotency import Turns
from memos.api.items import NDJSON_NAMES
from memos.api.limits import BODY_SECONDS, Edge
from memos.api.metrics import Metrics
from memos.api.routes import (
    activations,
    adapters,
    cubes,
    dumps,
    events,
    health,
    jobs,
    keeping,
    keys,
    lifecycle,
    memories,
    notes,
    search,
)
from memos.api.routes.graph import diff, entities, extraction, facts, rulings, vocabulary
from memos.api.transfers import GZIP

if TYPE_CHECKING:
    from memos.service import Service

ROUTERS = (
    cubes.router,
    dumps.router,
    memories.router,
    search.router,
    facts.router,
    entities.router,
    rulings.router,
    diff.router,
    vocabulary.router,
    extraction.router,
    notes.router,
    activations.router,
    adapters.router,
    events.router,
    keeping.router,
    lifecycle.router,
    jobs.router,
    keys.router,
    health.router,
)


def create_app(service: Service) -> FastAPI:
    """The application. Its lifespan runs the worker, if the settings say so, and returns its
    leases; the caller closes the service."""
    app = FastAPI(
        title="memos",
        version=__version__,
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        docs_url=None,  # both pages load their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    for router in ROUTERS:
        app.include_router(router)
    metrics = Metrics(service.metrics_snapshot)
    app.state.service = service
    app.state.metrics = metrics
    app.state.turns = Turns()
    app.state.streams = _streams
    app.state.methods_at = _methods_at
    app.state.batches = CapacityLimiter(AT_ONCE)
    app.state.stopping = asyncio.Event()
    app.state.stop_left = lambda: service.settings.shutdown_seconds
    errors.install(app)
    app.add_middleware(
        Edge,
        max_body_bytes=service.settings.max_body_bytes,
        new_id=service.new_id,
        metrics=metrics,
        streams=_streams,
        body_seconds=BODY_SECONDS,
    )
    app.openapi = openapi.generator(app, service.settings)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    service.start_worker(serving=True)
    try:
        yield
    finally:
        app.state.stopping.set()
        if service.worker.running:
            await run_in_threadpool(service.worker.stop, app.state.stop_left())


def _streams(scope: Scope) -> bool:
    """Whether the request's body is a stream, bounded where it is read: lines, or a dump."""
    header = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip().lower()
    kind = str(header.decode("latin-1"))
    if scope["path"] == "/v1/dumps":
        return kind == GZIP
    return scope["path"].endswith("/memories/batch") and kind in NDJSON_NAMES


def _methods_at(path: str) -> list[str]:
    """All methods at this path, for `Allow`. Of two templates that fit, such as `/memories/batch`
    and `/memories/{id}`, the one with fewer parameters is meant, and then the longer one."""
    routes = [
        route
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.path_regex.match(path)
    ]
    nearest = min(map(_vagueness, routes), default=None)
    return sorted(
        method for route in routes if _vagueness(route) == nearest for method in route.methods or ()
    )


def _vagueness(route: APIRoute) -> tuple[int, int]:
    return len(route.param_convertors), -len(route.path_format)
