"""Events as they happen, as server-sent events (https://html.spec.whatwg.org/#server-sent-events).

Each has its `seq` as id, so that who was cut off goes on after the last one it saw, by the header
Last-Event-ID. Knows the form and the pace of the stream, not what an event tells.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from memos.errors import MemosError
from memos.types import Event
from memos.wire import to_json

MEDIA = "text/event-stream"
PART = 200
_PAUSE_SECONDS = 0.2
_BEAT_SECONDS = 15.0

Page = Callable[[int], list[Event]]
"""At most PART events after a number, oldest first."""


def answer(
    page: Page,
    after: int,
    *,
    stopping: asyncio.Event,
    seconds: float | None,
    reaches: Callable[[Event], bool],
) -> StreamingResponse:
    """Streams until the caller goes, the service stops, or `seconds` are over."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    lines = _lines(page, after, stopping, seconds, reaches)
    return StreamingResponse(lines, media_type=MEDIA, headers=headers)


async def _lines(
    page: Page,
    after: int,
    stopping: asyncio.Event,
    seconds: float | None,
    reaches: Callable[[Event], bool],
) -> AsyncIterator[bytes]:
    began = beat = time.monotonic()
    # Who is cut off before the first event goes on from here too.
    yield b"retry: 1000\nid: %d\n\n" % after
    while not stopping.is_set():
        try:
            found = await run_in_threadpool(page, after)
        except MemosError as error:
            # The client comes back after the last id; by then the store may answer again.
            yield _comment(f"{error.code}: {error.message}")
            return
        for event in found:
            after = event.seq
            if reaches(event):
                yield _told(event)
        now = time.monotonic()
        if seconds is not None and now - began >= seconds and not found:
            return
        if now - beat > _BEAT_SECONDS:
            beat = now
            yield _comment("beat")
        if not found:
            await _pause(stopping, _PAUSE_SECONDS)


def _told(event: Event) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        event.seq,
        event.kind.encode(),
        to_json(event),
    )


def _comment(text: str) -> bytes:
    return b": " + " ".join(text.split()).encode("utf-8", "replace") + b"\n\n"


async def _pause(stopping: asyncio.Event, seconds: float) -> Any:
    """Cut short when the service stops."""
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except asyncio.TimeoutError:
        return
