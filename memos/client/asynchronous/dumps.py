"""The verbs that carry cubes from one service to another, for the async client.

Files are streamed: neither side holds one in RAM. A piece is read or written at a time, which is
short enough to be done between others' turns.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, BinaryIO

from memos.client.connection import Connection
from memos.client.requests import dumps as requests
from memos.dumpfile import reading, writing
from memos.types import Dump, Loaded

if TYPE_CHECKING:
    import httpx


class AsyncDumpVerbs:
    """dump and load, over the connection that the client has."""

    _connection: Connection
    _http: httpx.AsyncClient
    _broken: type[Exception]
    _sleep: Any

    async def dump(self, file: str | os.PathLike[str] | BinaryIO, *, cube: str = "default") -> Dump:
        """Writes a cube into a file here, as it is now: memories with their history, links, graph,
        notes, policies and embeddings."""
        response = await self._answered(requests.dump(cube=cube))
        try:
            with writing(file) as target:
                receiving = requests.Receiving(target, response.headers)
                async for chunk in response.aiter_bytes(requests.CHUNK):
                    receiving.put(chunk)
                return receiving.whole()
        except self._broken as error:
            raise requests.broken_off(self._connection.url) from error
        finally:
            await response.aclose()

    async def load(
        self, file: str | os.PathLike[str] | BinaryIO, *, name: str | None = None
    ) -> Loaded:
        """Makes a new cube from such a file, under its name or another: all of it or nothing.
        InvalidDump; AlreadyExists if there is a cube of that name."""
        request = requests.load(name=name)
        with reading(file) as source:
            response = await self._answered(request, source)
            return request.read(await response.aread())

    async def _answered(self, request: Any, source: BinaryIO | None = None) -> httpx.Response:
        """A good answer, whose body is still to be read."""
        attempts = self._connection.attempts(request)
        while True:
            options = self._connection.call_options(request)
            if source is not None:
                source.seek(0)
                options["content"] = _chunks(source)
            try:
                asked = self._http.build_request(**options)
                response = await self._http.send(asked, stream=True)
                body = b"" if response.is_success else await response.aread()
            except self._broken as error:
                pause = attempts.failed(error)
            else:
                again = attempts.answered(response.status_code, response.headers, body)
                if again is None:
                    return response
                pause = again
            await self._sleep(pause)


async def _chunks(source: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := source.read(requests.CHUNK):
        yield chunk
