"""The async client: `AsyncClient` has the verbs of `MemoryOS` as coroutines, over HTTP.

Knows how to send a request, wait and send again; what is sent is in `memos.client.requests`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from memos.client.asynchronous.activations import AsyncActivationVerbs
from memos.client.asynchronous.adapters import AsyncAdapterVerbs
from memos.client.asynchronous.cubes import AsyncCubeVerbs
from memos.client.asynchronous.dumps import AsyncDumpVerbs
from memos.client.asynchronous.events import AsyncEventVerbs
from memos.client.asynchronous.facts import AsyncFactVerbs
from memos.client.asynchronous.graph import AsyncGraphVerbs
from memos.client.asynchronous.jobs import AsyncJobVerbs
from memos.client.asynchronous.keeping import AsyncKeepingVerbs
from memos.client.asynchronous.lifecycle import AsyncLifecycleVerbs
from memos.client.asynchronous.notes import AsyncNoteVerbs
from memos.client.asynchronous.reading import AsyncReadVerbs
from memos.client.asynchronous.writing import AsyncWriteVerbs
from memos.client.connection import Connection, connection
from memos.client.requests import activations, events
from memos.client.requests.request import Request
from memos.types import Event, Piece

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


class AsyncClient(
    AsyncWriteVerbs,
    AsyncReadVerbs,
    AsyncFactVerbs,
    AsyncGraphVerbs,
    AsyncNoteVerbs,
    AsyncActivationVerbs,
    AsyncAdapterVerbs,
    AsyncKeepingVerbs,
    AsyncCubeVerbs,
    AsyncDumpVerbs,
    AsyncJobVerbs,
    AsyncEventVerbs,
    AsyncLifecycleVerbs,
):
    """The service at `base_url`. Belongs to one event loop.

    `base_url` and `api_key` default to MEMOS_URL and MEMOS_API_KEY. `timeout` is in seconds for one
    attempt; `retries` is how often a call that is safe to repeat is sent again when the service
    can't be reached or says that it is not available. Errors are those of `memos.errors`;
    `details["request_id"]` finds the call in the server's log.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 60.0,
        retries: int = 3,
    ) -> None:
        import asyncio

        import httpx

        self._connection: Connection = connection(
            base_url, api_key, timeout=timeout, retries=retries
        )
        self._sleep = asyncio.sleep
        self._broken = httpx.RequestError
        self._http: httpx.AsyncClient = httpx.AsyncClient(**self._connection.http_options())

    async def close(self) -> None:
        """Closes its connections; it can't be used afterwards."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self._connection.url!r})"

    def _key(self, given: str | None = None) -> str:
        return self._connection.new_key() if given is None else given

    @property
    def _url(self) -> str:
        return self._connection.url

    async def _stream(self, request: Request[Piece]) -> AsyncIterator[Piece]:
        """The lines of an answer as they come; a connection that breaks in the middle of them is
        not taken up again."""
        attempts = self._connection.attempts(request)
        while True:
            try:
                asked = self._http.build_request(**self._connection.call_options(request))
                response = await self._http.send(asked, stream=True)
                body = b"" if response.is_success else await response.aread()
            except self._broken as error:
                pause = attempts.failed(error)
            else:
                again = attempts.answered(response.status_code, response.headers, body)
                if again is None:
                    break
                pause = again
            await self._sleep(pause)
        try:
            async for line in response.aiter_lines():
                piece = request.read(line.encode())
                yield piece
                if piece.done is not None:
                    return
        except self._broken as error:
            raise activations.broken_off(self._url) from error
        finally:
            await response.aclose()
        raise activations.broken_off(self._url)

    async def _follow(self, request: Request[Event], seconds: float | None) -> AsyncIterator[Event]:
        """A stream of events that is taken up again whenever it breaks off; what is wrong with the
        request, or a service that can't be reached again, is raised."""
        deadline = None if seconds is None else time.monotonic() + seconds
        following = events.Following(request)
        attempts = self._connection.attempts(request)
        left = seconds
        while True:
            pause: float | None = None
            try:
                asked = following.again(left)
                async with self._http.stream(**self._connection.call_options(asked)) as response:
                    body = b"" if response.is_success else await response.aread()
                    pause = attempts.answered(response.status_code, response.headers, body)
                    if pause is None:
                        following.check(response.headers)
                        async for line in response.aiter_lines():
                            event = following.read(line)
                            if event is not None:
                                attempts = self._connection.attempts(request)
                                yield event
            except self._broken as error:
                pause = attempts.failed(error)
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            await self._sleep(events.AGAIN_SECONDS if pause is None else pause)

    async def _send(self, request: Request[T]) -> T:
        attempts = self._connection.attempts(request)
        while True:
            try:
                response = await self._http.request(**self._connection.call_options(request))
            except self._broken as error:
                pause = attempts.failed(error)
            else:
                again = attempts.answered(response.status_code, response.headers, response.content)
                if again is None:
                    return request.read(response.content)
                pause = again
            await self._sleep(pause)
