"""The OpenAPI document: the routes' own, completed with problems, headers, keys and examples.

What holds for all operations is added here once, so that no route can forget it.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from memos.api.errors import PROBLEM_MEDIA, PROBLEM_TYPE
from memos.api.examples.activations import PIECE
from memos.api.examples.answers import EXAMPLES
from memos.api.examples.memories import MEMORY
from memos.api.items import NDJSON
from memos.api.transfers import GZIP, SUMMARY
from memos.config import Settings
from memos.wire import to_builtins

DESCRIPTION = (
    "Stores what agents experience and gives back the right part of it. Errors are problem "
    "documents (RFC 9457) whose `code` is stable. Writes may carry an Idempotency-Key."
)
TAGS = [
    {"name": "memories", "description": "What is remembered."},
    {"name": "search", "description": "Finding it again."},
    {"name": "graph", "description": "Facts in two times, and the entities they are about."},
    {"name": "notes", "description": "What memories are about, one by one and together."},
    {"name": "activations", "description": "What the local model has read, and its answers."},
    {"name": "adapters", "description": "What the local model has learnt."},
    {"name": "events", "description": "What happened by itself, and why."},
    {"name": "keeping", "description": "Consolidation, forgetting, erasure, audit, context."},
    {"name": "lifecycle", "description": "How memories are kept, and for how long."},
    {"name": "cubes", "description": "Containers of memories; the unit of ownership."},
    {"name": "dumps", "description": "Cubes as files."},
    {"name": "jobs", "description": "Durable background work."},
    {"name": "keys", "description": "Who may do what."},
    {"name": "health", "description": "For operators; no key needed."},
]

_READ = (400, 401, 403, 404, 422, 500, 503)
_WRITE = (*_READ, 408, 409, 413, 415, 507)
_OPEN: dict[str, tuple[int, ...]] = {"health": (500,), "ready": (500, 503), "metrics": (500, 503)}
_STEPS = {"archive", "freeze", "thaw", "expire", "rollback"}
_PRECONDITION = {"update", "forget", "undo", "erase"} | _STEPS
_TAGGED = {"get", "update", "forget", "restore"} | _STEPS

_PROBLEM = {
    "type": "object",
    "description": "A problem document (RFC 9457). Some codes have further members.",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was wrong, and what to do."},
        "instance": {"type": "string"},
        "code": {"type": "string", "description": "Stable, for programs."},
        "request_id": {"type": "string", "description": "Also in the service's log."},
        "errors": {
            "type": "array",
            "description": "With status 422: each fault of the input.",
            "items": {
                "type": "object",
                "required": ["in", "field", "message", "type"],
                "properties": {
                    "in": {"type": "string"},
                    "field": {"type": "string"},
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                },
            },
        },
    },
    "examples": [
        {
            "type": f"{PROBLEM_TYPE}memory-not-found",
            "title": "Memory not found",
            "status": 404,
            "detail": "cube 'default' has no memory '01HXA8Q5T9V0J4M2K7N3P6R8SD'",
            "instance": "/v1/cubes/default/memories/01HXA8Q5T9V0J4M2K7N3P6R8SD",
            "code": "memory-not-found",
            "request_id": "01HXA8Q5T9V0J4M2K7N3P6R8SF",
        }
    ],
}
_FILE = {"type": "string", "format": "binary", "description": "JSON lines in gzip."}
_BATCH_LINE = {
    "description": "One line: progress, the end, or the problem that stopped it.",
    "type": "object",
    "required": ["done"],
    "properties": {
        "done": {"type": "integer", "minimum": 0},
        "ids": {"type": "array", "items": {"type": "string"}},
        "complete": {"const": True},
        "problem": {"$ref": "#/components/schemas/Problem"},
    },
}
_PIECE_LINE = {
    "description": "One line: a piece of the answer, its end, or the problem that broke it off.",
    "type": "object",
    "required": ["text"],
    "properties": {
        "text": {"type": "string"},
        "done": {"anyOf": [{"$ref": "#/components/schemas/Generated"}, {"type": "null"}]},
        "problem": {"$ref": "#/components/schemas/Problem"},
    },
}


def generator(app: FastAPI, settings: Settings) -> Callable[[], dict[str, Any]]:
    """The function that FastAPI calls for the document; made once, with the settings' limits."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(app, settings)
        return app.openapi_schema

    return document


def _completed(app: FastAPI, settings: Settings) -> dict[str, Any]:
    found = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    for name, example in EXAMPLES.items():
        schemas[name]["examples"] = [to_builtins(example)]
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    maxima = {"limit": settings.max_limit, "batch_size": settings.max_batch}
    schemas["SearchIn"]["properties"]["limit"]["maximum"] = settings.max_limit
    for path in found["paths"].values():
        for operation in path.values():
            _complete(operation)
            for parameter in operation.get("parameters", ()):
                if parameter["name"] in maxima:
                    _limit(parameter["schema"], maxima[parameter["name"]])
    return found


def _limit(schema: dict[str, Any], most: int) -> None:
    for kind in schema.get("anyOf", [schema]):
        if kind["type"] == "integer":
            kind["maximum"] = most


def _complete(operation: dict[str, Any]) -> None:
    name = operation["operationId"]
    answers = operation["responses"]
    answers.pop("422", None)
    if name not in _OPEN:
        operation["security"] = [{"bearer": []}, {"header": []}]
    for status in _problems_of(operation):
        answers[str(status)] = _problem_answer(status)
    if name == "add_batch":
        _complete_batch(operation)
    if name == "dump":
        _complete_dump(operation)
    if name == "load":
        operation["requestBody"] = {"required": True, "content": {GZIP: {"schema": _FILE}}}
    if name == "follow":
        operation["responses"]["200"]["content"] = {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'id: 12\nevent: job.dead\ndata: {"seq": 12, "kind": "job.dead"}\n\n',
            }
        }
    if name == "generate_stream":
        operation["responses"]["200"]["content"] = {
            NDJSON: {"schema": _PIECE_LINE, "example": to_builtins(PIECE)}
        }
    for status, answer in answers.items():
        headers = answer.setdefault("headers", {})
        headers["X-Request-Id"] = _header("Of this request; echoed if it was sent.")
        if name in _TAGGED and status.startswith("2"):
            headers["ETag"] = _header("The version in quotes, for If-Match.")
        if "Idempotency-Key" in _parameters(operation) and status.startswith("2"):
            headers["Idempotency-Replayed"] = _header("`true` if this is the first answer again.")


def _complete_dump(operation: dict[str, Any]) -> None:
    answer = operation["responses"]["200"]
    answer["content"] = {GZIP: {"schema": _FILE}}
    answer["headers"] = {SUMMARY: _header("JSON: `name`, `rows` by table, `bytes`, `sha256`.")}


def _problems_of(operation: dict[str, Any]) -> set[int]:
    name = operation["operationId"]
    writes = "Idempotency-Key" in _parameters(operation)
    if name in _OPEN:
        return set(_OPEN[name])
    writes = writes or name == "load"
    statuses = set(_WRITE if writes or "requestBody" in operation else _READ)
    return statuses | ({412} if name in _PRECONDITION else set())


def _parameters(operation: dict[str, Any]) -> set[str]:
    return {parameter["name"] for parameter in operation.get("parameters", ())}


def _problem_answer(status: int) -> dict[str, Any]:
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = _header("How to sign in.")
    if status == 503:
        headers["Retry-After"] = _header("Seconds to wait.")
    return {
        "description": HTTPStatus(status).phrase,
        "headers": headers,
        "content": {PROBLEM_MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _complete_batch(operation: dict[str, Any]) -> None:
    item = {
        "anyOf": [
            {"$ref": "#/components/schemas/NewMemoryIn"},
            {"$ref": "#/components/schemas/MessageIn"},
            {"type": "string"},
        ]
    }
    lines = '{"content": "I moved to Lisbon."}\n{"role": "user", "content": "In March."}\n'
    operation["requestBody"] = {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "array", "items": item},
                "example": [{"content": "I moved to Lisbon."}],
            },
            NDJSON: {
                "schema": {"type": "string", "description": "One item as JSON per line."},
                "example": lines,
            },
        },
    }
    operation["responses"]["200"]["content"] = {
        NDJSON: {
            "schema": _BATCH_LINE,
            "example": {"done": 2, "ids": [MEMORY.id]},
        }
    }
