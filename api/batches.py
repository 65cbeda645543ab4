"""Batch add: items in as NDJSON or a JSON array, one line out for each part made durable.

Constant memory: at most one part of items and a bounded number of unread lines are held. Each batch
reads and adds in a thread of its own; the event loop only carries bytes. Knows HTTP streams and
`add`, no storage.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from memos.api.auth import ADMITTED_SECONDS, admit_again
from memos.api.errors import Problem, internal, problem_of, request_id
from memos.api.items import NDJSON, Chunks, ClientGone, Items
from memos.config import Settings
from memos.errors import MemosError, ServiceUnavailable
from memos.messages import Item, in_parts
from memos.types import Added, AddProgress
from memos.wire import to_json

log = logging.getLogger("memos.api")

AT_ONCE = 8
"""Batches per process; each holds a thread."""
_UNREAD_LINES = 1024

AddPart = Callable[[list[Item], int], Added]
"""Adds a part, given its items and its number."""


class BatchAnswer(Response):
    """Reads the rest of the request while it answers it.

    The head is sent with the first line, so that a batch that fails at its start is a plain problem
    document with its status; a later failure is a last line with `problem` and `done`. `body` is
    the request's if it was read already, None to stream it.
    """

    media_type = NDJSON

    def __init__(
        self,
        request: Request,
        add: AddPart,
        *,
        settings: Settings,
        batch_size: int,
        body: bytes | None,
        limiter: CapacityLimiter,
        stopping: asyncio.Event,
    ) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._request = request
        self._add = add
        self._settings = settings
        self._batch_size = batch_size
        self._body = body
        self._limiter = limiter
        self._stopping = stopping
        self._lines: asyncio.Queue[bytes | Problem | None] = asyncio.Queue()
        self._unread = threading.Semaphore(_UNREAD_LINES)
        self._gone = threading.Event()
        self._done = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._limiter.acquire_on_behalf_of_nowait(self)
        except anyio.WouldBlock:
            await self._busy().response()(scope, receive, send)
            return
        try:
            await self._run(scope, receive, send)
        finally:
            self._limiter.release_on_behalf_of(self)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        chunks = Chunks(receive, loop, self._stopping)
        source = chunks if self._body is None else [self._body]
        # A thread apart from those that answer other requests: this one may wait for its client.
        thread = anyio.to_thread.run_sync(self._work, source, loop, limiter=CapacityLimiter(1))
        work = asyncio.ensure_future(thread)
        try:
            await self._carry(scope, receive, send)
        finally:
            self._gone.set()
            chunks.close()
            await asyncio.shield(work)

    def _busy(self) -> Problem:
        error = ServiceUnavailable(f"{AT_ONCE} batches are running; send this one in a moment")
        return problem_of(error, self._request)

    async def _carry(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lines from the worker's thread to the client."""
        started = False
        while (line := await self._lines.get()) is not None:
            self._unread.release()
            if isinstance(line, Problem):
                if not started:
                    await line.response()(scope, receive, send)
                    continue
                line = to_json({"problem": line.document(), "done": self._done}) + b"\n"
            if not started:
                started = True
                head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                await send(head)
            await send({"type": "http.response.body", "body": line, "more_body": True})
        if started:
            await send({"type": "http.response.body", "body": b""})

    def _work(self, source: Iterable[bytes], loop: asyncio.AbstractEventLoop) -> None:
        """In a thread of its own: reads, adds, reports."""

        def put(line: bytes | Problem) -> None:
            while not self._unread.acquire(timeout=0.5):
                if self._gone.is_set():
                    raise ClientGone
            loop.call_soon_threadsafe(self._lines.put_nowait, line)

        try:
            put(self._add_all(source, put))
        except ClientGone:
            log.info("the client left after %d items of a batch", self._done)
        finally:
            loop.call_soon_threadsafe(self._lines.put_nowait, None)

    def _add_all(self, source: Iterable[bytes], put: Callable[[bytes], None]) -> bytes | Problem:
        """The last line: the batch is complete, or what stopped it."""
        items = Items(self._request, source, self._settings)
        try:
            admitted = time.monotonic()
            for number, part in enumerate(in_parts(items, self._batch_size)):
                if time.monotonic() - admitted >= ADMITTED_SECONDS:
                    admit_again(self._request)
                    admitted = time.monotonic()
                added = self._add(part, number)
                self._done += len(added.memories)
                ids = tuple(memory.id for memory in added.memories)
                put(to_json(AddProgress(done=self._done, ids=ids)) + b"\n")
        except MemosError as error:
            return problem_of(error, self._request)
        except ClientGone:
            raise
        except Exception:
            log.exception("batch failed at %d, request %s", self._done, request_id(self._request))
            return internal(self._request)
        if items.fault is not None:
            return items.fault
        return to_json({"done": self._done, "complete": True}) + b"\n"
