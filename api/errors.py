"""Problem documents (RFC 9457): every error that leaves over HTTP is one of these.

The only place that knows which error of `memos.errors` has which HTTP status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from memos import errors
from memos.wire import to_json

PROBLEM_TYPE = "https://memos.invalid/problems/"
PROBLEM_MEDIA = "application/problem+json"
RETRY_SECONDS = 1

STATUS: Mapping[type[errors.MemosError], int] = {
    errors.MemosError: 500,
    errors.InvalidInput: 422,
    errors.InvalidFilter: 422,
    errors.InvalidCursor: 422,
    errors.PolicyContradiction: 422,
    errors.InvalidDump: 422,
    errors.NotFound: 404,
    errors.CubeNotFound: 404,
    errors.MemoryNotFound: 404,
    errors.JobNotFound: 404,
    errors.KeyNotFound: 404,
    errors.EntityNotFound: 404,
    errors.FactNotFound: 404,
    errors.RulingNotFound: 404,
    errors.NoteNotFound: 404,
    errors.EventNotFound: 404,
    errors.ScheduleNotFound: 404,
    errors.ActivationNotFound: 404,
    errors.AdapterNotFound: 404,
    errors.Conflict: 409,
    errors.AlreadyExists: 409,
    errors.VersionConflict: 412,
    errors.StateConflict: 409,
    errors.IdempotencyConflict: 409,
    errors.AccessDenied: 403,
    errors.NotAuthenticated: 401,
    errors.PermissionDenied: 403,
    errors.LimitExceeded: 413,
    errors.PayloadTooLarge: 413,
    errors.BatchTooLarge: 413,
    errors.ModelError: 500,
    errors.ModelNotFound: 500,
    errors.ModelDigestMismatch: 500,
    errors.ModelCorrupt: 500,
    errors.ModelUnsupported: 409,
    errors.EmbeddingModelChanged: 409,
    errors.ExtractionFailed: 500,
    errors.ExtractorUnavailable: 503,
    errors.ExtractorAnswer: 502,
    errors.StorageError: 500,
    errors.StorageUnavailable: 503,
    errors.StorageCorrupt: 500,
    errors.StorageFull: 507,
    errors.StorageReadOnly: 500,
    errors.SchemaMismatch: 500,
    errors.IndexUnavailable: 500,
    errors.ActivationError: 500,
    errors.FingerprintMismatch: 409,
    errors.BlockCorrupt: 500,
    errors.BlockNotFound: 404,
    errors.DeviceUnavailable: 503,
    errors.AdapterError: 500,
    errors.AdapterCorrupt: 500,
    errors.AdapterMismatch: 409,
    errors.AdapterRefused: 409,
    errors.Contradiction: 409,
    errors.TrainingFailed: 500,
    errors.OutOfMemory: 507,
    errors.JobFailed: 500,
    errors.ConfigError: 500,
    errors.InvalidSetting: 500,
    errors.MissingDependency: 500,
    errors.PortInUse: 500,
    errors.ServiceUnavailable: 503,
    errors.WaitTimeout: 504,
}

# Refusals of the web framework, by status; they have no class in the error tree.
_FRAMEWORK_CODES = {
    400: "malformed-request",
    404: "not-found",
    405: "method-not-allowed",
    408: "request-timeout",
    413: "payload-too-large",
    415: "unsupported-media-type",
}

_PARTS = {"body", "query", "path", "header"}


class MalformedRequest(HTTPException):
    """What came in is not HTTP's or JSON's form: 400, or 408, 413 and 415 where they say more.

    An HTTPException, since the framework passes these on where it would hide other errors that
    come up while it reads a body.
    """

    def __init__(self, message: str, *, status: int = 400, close: bool = False) -> None:
        # After an answer to half a request the connection is of no further use.
        headers = {"Connection": "close"} if close else None
        super().__init__(status, message, headers=headers)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One problem document. `details` become further members of it."""

    status: int
    code: str
    detail: str
    request_id: str
    instance: str
    details: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """RFC 9457's members, then `code`, `request_id` and the details."""
        own = {
            "type": PROBLEM_TYPE + self.code,
            "title": self.code.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "instance": self.instance,
            "code": self.code,
            "request_id": self.request_id,
        }
        return {**{k: v for k, v in self.details.items() if v is not None}, **own}

    def response(self) -> Response:
        body = to_json(self.document())
        return Response(body, self.status, dict(self.headers), media_type=PROBLEM_MEDIA)


def status_of(error: errors.MemosError) -> int:
    """The status of the error's class, or of the nearest base that has one."""
    return next(STATUS[base] for base in type(error).__mro__ if base in STATUS)


def request_id(request: Request) -> str:
    """The id that `memos.api.limits` gave the request."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def problem_of(error: errors.MemosError, request: Request) -> Problem:
    """The document for an error of the core. Details that are no JSON are given as text."""
    status = status_of(error)
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="memos"'
    if status == 503:
        headers["Retry-After"] = str(error.details.get("retry_after", RETRY_SECONDS))
    return Problem(
        status=status,
        code=error.code,
        detail=error.message,
        request_id=request_id(request),
        instance=request.url.path,
        details={name: _plain(value) for name, value in error.details.items()},
        headers=headers,
    )


def internal(request: Request) -> Problem:
    """For what nobody foresaw: says where to look, shows nothing of the inside."""
    return Problem(
        status=500,
        code=errors.MemosError.code,
        detail="The service met an unexpected error. Its log has it under this request_id.",
        request_id=request_id(request),
        instance=request.url.path,
    )


def invalid(faults: list[dict[str, Any]], request: Request) -> Problem:
    """For input that doesn't fit its schema: each fault has `field`, `message` and `type`."""
    first = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return Problem(
        status=422,
        code=errors.InvalidInput.code,
        detail=f"{first['field']}: {first['message']}{more}",
        request_id=request_id(request),
        instance=request.url.path,
        details={"field": first["field"], "errors": faults},
    )


def faults_of(found: list[Any]) -> list[dict[str, Any]]:
    """pydantic's errors without the input they quote, which may be large or secret."""
    faults = []
    for fault in found:
        # Tags of unions, written <tag>, are no part of what was sent.
        place = [str(part) for part in fault["loc"] if not str(part).startswith("<")]
        inside = place[1:] if place[:1] and place[0] in _PARTS else place
        message = str(fault["msg"]).removeprefix("Value error, ")
        faults.append(
            {
                "in": place[0] if place and place[0] in _PARTS else "body",
                "field": ".".join(inside) or "body",
                "message": message.encode("utf-8", "replace").decode(),
                "type": fault["type"],
            }
        )
    return faults


def install(app: FastAPI) -> None:
    """Makes `app` answer with problem documents only."""
    app.add_exception_handler(errors.MemosError, _core_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _framework_error)


async def _core_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.MemosError)
    return problem_of(error, request).response()


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return invalid(faults_of(list(error.errors())), request).response()


async def _framework_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    detail = str(error.detail)
    if error.status_code == 404:
        detail = f"there is no {request.url.path}; /openapi.json lists what there is"
    elif error.status_code == 405:
        allowed: list[str] = request.app.state.methods_at(request.url.path)
        headers["Allow"] = ", ".join(allowed)
        detail = f"{request.url.path} doesn't answer {request.method}; use {headers['Allow']}"
    return Problem(
        status=error.status_code,
        code=_FRAMEWORK_CODES.get(error.status_code)
        or HTTPStatus(error.status_code).phrase.lower().replace(" ", "-"),
        detail=detail,
        request_id=request_id(request),
        instance=request.url.path,
        headers=headers,
    ).response()


def _plain(value: Any) -> Any:
    """Numbers, texts and lists of them as they are; anything else as text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value)
