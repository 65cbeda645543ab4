"""The outermost layer: a request id for everybody, bounds on bodies, and the last net for errors.

Plain ASGI, so that it also covers what the framework itself refuses. Knows no routes but one fact:
which requests stream their body and bound it themselves.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from memos.api.errors import MalformedRequest, Problem, internal
from memos.api.metrics import Metrics
from memos.protocols import NewId

log = logging.getLogger("memos.api")

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}\Z")
BODY_SECONDS = 30.0
"""How long a client may be silent in the middle of a body."""
_DRAIN_SECONDS = 5.0


class Edge:
    """ASGI middleware; must be the outermost of the application's own."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        new_id: NewId,
        metrics: Metrics,
        streams: Callable[[Scope], bool],
        body_seconds: float,
    ) -> None:
        self._app = app
        self._max = max_body_bytes
        self._new_id = new_id
        self._metrics = metrics
        self._streams = streams
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        name = _header(scope, b"x-request-id")
        request_id = name if name and _REQUEST_ID.match(name) else self._new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        body = _Body(
            receive,
            limit=None if self._streams(scope) else self._max,
            seconds=self._body_seconds,
        )
        with self._metrics.in_flight():
            await self._answer(scope, body, answer)
        self._metrics.request(
            scope["method"], scope.get("route"), answer.status, time.perf_counter() - started
        )

    async def _answer(self, scope: Scope, body: _Body, answer: _Answer) -> None:
        request = Request(scope)
        try:
            refusal = await body.refuse_early(scope)
            if refusal is None:
                await self._app(scope, body.receive, answer.send)
            else:
                response = _refused(refusal, request, answer.request_id).response()
                await response(scope, body.receive, answer.send)
        except Exception:
            # The path as it was sent: decoded it could hold line breaks and escape sequences.
            log.exception(
                "%s %s failed, request %s",
                scope["method"],
                scope["raw_path"].decode("latin-1"),
                answer.request_id,
            )
            if answer.status is not None:
                raise  # half an answer is out: only closing the connection shows that it is half
            response = internal(request).response()
            await response(scope, body.receive, answer.send)


class _Answer:
    """Passes an answer on, with the request id in its head; remembers the status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [
                *message.get("headers", ()),
                (b"x-request-id", self.request_id.encode("latin-1")),
                (b"x-content-type-options", b"nosniff"),
            ]
        await self._send(message)


class _Body:
    """Counts a body while it comes in."""

    def __init__(self, receive: Receive, *, limit: int | None, seconds: float) -> None:
        self._receive = receive
        self._limit = limit
        self._seconds = seconds
        self._count = 0
        self._complete = False

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        message = await self._next()
        self._count += len(message.get("body", b""))
        if self._limit is not None and self._count > self._limit:
            await self._drain()
            raise _too_large(self._limit)
        return message

    async def refuse_early(self, scope: Scope) -> MalformedRequest | None:
        """What the head alone shows to be wrong."""
        length = _header(scope, b"content-length")
        if self._limit is None or not (length or "").isdigit() or int(length or 0) <= self._limit:
            return None
        if _header(scope, b"expect") is None:
            await self._drain()
        return _too_large(self._limit)

    async def _next(self) -> Message:
        try:
            message = await asyncio.wait_for(self._receive(), self._seconds)
        except asyncio.TimeoutError as error:
            raise MalformedRequest(
                f"nothing came for {self._seconds:g} s in the middle of the body; send it again",
                status=408,
                close=True,
            ) from error
        self._complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def _drain(self) -> None:
        """Reads on for a while, since a client that is cut off while it sends sees no answer."""
        assert self._limit is not None
        deadline = time.monotonic() + _DRAIN_SECONDS
        left = 2 * self._limit
        while not self._complete and left > 0 and time.monotonic() < deadline:
            left -= len((await self._next()).get("body", b""))


def _too_large(limit: int) -> MalformedRequest:
    return MalformedRequest(
        f"the body has more than {limit} bytes, the limit (MEMOS_MAX_BODY_BYTES). Send less at "
        "once, or send NDJSON to .../memories/batch, which has no limit",
        status=413,
        close=True,
    )


def _refused(refusal: MalformedRequest, request: Request, request_id: str) -> Problem:
    return Problem(
        status=refusal.status_code,
        code="payload-too-large",
        detail=str(refusal.detail),
        request_id=request_id,
        instance=request.url.path,
        headers=dict(refusal.headers or {}),
    )


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None
