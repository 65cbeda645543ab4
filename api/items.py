"""The items of a batch as they come in, one by one, each checked as soon as it is whole.

Knows bytes, lines and JSON; adds nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from typing import Any

from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from starlette.types import Receive

from memos.api.bodies import decode, media_type
from memos.api.errors import MalformedRequest, Problem, faults_of, problem_of, request_id
from memos.api.schemas.memories import ItemIn
from memos.config import Settings
from memos.errors import InvalidInput, MemosError, PayloadTooLarge, ServiceUnavailable
from memos.messages import Defaults, Item, normalise
from memos.validation import check_memory

NDJSON = "application/x-ndjson"
NDJSON_NAMES = (NDJSON, "application/jsonl", "application/x-jsonlines")

_ITEM: TypeAdapter[Any] = TypeAdapter(ItemIn)


class ClientGone(Exception):
    """The client has left; nobody waits for an answer."""


class Chunks:
    """A request's body as an iterator for a thread outside the event loop."""

    def __init__(
        self, receive: Receive, loop: asyncio.AbstractEventLoop, stopping: asyncio.Event
    ) -> None:
        self._receive = receive
        self._loop = loop
        self._stopping = stopping
        self._task: asyncio.Task[Any] | None = None
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        """ClientGone once the client has left, ServiceUnavailable once the service is stopping."""
        more = True
        while more:
            future = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
            try:
                message = future.result()
            except CancelledError as error:
                raise ClientGone from error
            if message["type"] == "http.disconnect":
                raise ClientGone
            more = message.get("more_body", False)
            yield message.get("body", b"")

    def close(self) -> None:
        """Ends the wait of the thread. To be called in the event loop."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    async def _next(self) -> Any:
        if self._closed:
            raise ClientGone
        self._task = asyncio.current_task()
        message = asyncio.ensure_future(self._receive())
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({message, stop}, return_when=asyncio.FIRST_COMPLETED)
            if message.done():
                return message.result()
            raise ServiceUnavailable("the service is stopping; send what is not done yet again")
        finally:
            self._task = None
            stop.cancel()
            message.cancel()


class Items:
    """The items up to the first that is wrong; then `fault` says what was wrong with it.

    Stopping instead of raising lets the items before it be added.
    """

    def __init__(self, request: Request, source: Iterable[bytes], settings: Settings) -> None:
        self._request = request
        self._source = source
        self._settings = settings
        self.fault: Problem | None = None

    def __iter__(self) -> Iterator[Item]:
        try:
            yield from self._lines() if is_ndjson(self._request) else self._array()
        except MemosError as error:
            self.fault = problem_of(error, self._request)
        except MalformedRequest as error:
            self.fault = Problem(
                status=error.status_code,
                code="malformed-request",
                detail=str(error.detail),
                request_id=request_id(self._request),
                instance=self._request.url.path,
            )

    def _lines(self) -> Iterator[Item]:
        """Lines end with \\n; empty ones are passed over but counted."""
        number, rest = 0, b""
        for chunk in self._source:
            *lines, rest = (rest + chunk).split(b"\n") if b"\n" in chunk else (rest + chunk,)
            for line in lines:
                number += 1
                yield from self._line(line, number)
            self._check_length(rest, number + 1)
        yield from self._line(rest, number + 1)

    def _check_length(self, line: bytes, number: int) -> None:
        limit = self._settings.max_body_bytes
        if len(line) > limit:
            raise PayloadTooLarge(
                f"line {number} has more than {limit} bytes, the limit (MEMOS_MAX_BODY_BYTES); "
                "end each item with a line break",
                line=number,
            )

    def _line(self, line: bytes, number: int) -> Iterator[Item]:
        if not line.strip():
            return
        self._check_length(line, number)
        at = f"line {number}: "
        try:
            value = decode(line)
        except MalformedRequest as error:
            raise MalformedRequest(f"{at}{error.detail}") from error
        yield self._item(value, at, line=number)

    def _array(self) -> Iterator[Item]:
        values = decode(b"".join(self._source))
        if not isinstance(values, list):
            raise InvalidInput("the body must be an array of items, or NDJSON with one per line")
        for number, value in enumerate(values):
            yield self._item(value, f"item {number}: ", item=number)

    def _item(self, value: Any, at: str, **place: int) -> Item:
        """InvalidInput or a limit's error that names the place."""
        try:
            item: Item = value if isinstance(value, str) else _ITEM.validate_python(value).core()
            check_memory(normalise(item, Defaults()), self._settings)
        except ValidationError as error:
            fault = faults_of(list(error.errors()))[0]
            text = f"{at}{fault['field']}: {fault['message']}"
            raise InvalidInput(text, field=fault["field"], **place) from error
        except MemosError as error:
            raise type(error)(f"{at}{error.message}", **{**error.details, **place}) from error
        return item


def is_ndjson(request: Request) -> bool:
    return media_type(request) in NDJSON_NAMES
