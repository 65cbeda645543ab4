"""The sync client: `Client` has the verbs of the in-process `MemoryOS`, over HTTP.

Knows how to send a request, wait and send again; what is sent is in `memos.client.requests`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from memos.client.connection import Connection, connection
from memos.client.requests import activations, events
from memos.client.requests.request import Request
from memos.client.sync.activations import ActivationVerbs
from memos.client.sync.adapters import AdapterVerbs
from memos.client.sync.cubes import CubeVerbs
from memos.client.sync.dumps import DumpVerbs
from memos.client.sync.events import EventVerbs
from memos.client.sync.facts import FactVerbs
from memos.client.sync.graph import GraphVerbs
from memos.client.sync.jobs import JobVerbs
from memos.client.sync.keeping import KeepingVerbs
from memos.client.sync.lifecycle import LifecycleVerbs
from memos.client.sync.notes import NoteVerbs
from memos.client.sync.reading import ReadVerbs
from memos.client.sync.writing import WriteVerbs
from memos.types import Event, Piece

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


class Client(
    WriteVerbs,
    ReadVerbs,
    FactVerbs,
    GraphVerbs,
    NoteVerbs,
    ActivationVerbs,
    AdapterVerbs,
    KeepingVerbs,
    CubeVerbs,
    DumpVerbs,
    JobVerbs,
    EventVerbs,
    LifecycleVerbs,
):
    """The service at `base_url`. May be used by several threads at once.

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
        import httpx

        self._connection: Connection = connection(
            base_url, api_key, timeout=timeout, retries=retries
        )
        self._broken = httpx.RequestError
        self._http: httpx.Client = httpx.Client(**self._connection.http_options())

    def close(self) -> None:
        """Closes its connections; it can't be used afterwards."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._connection.url!r})"

    def _key(self, given: str | None = None) -> str:
        return self._connection.new_key() if given is None else given

    @property
    def _url(self) -> str:
        return self._connection.url

    def _stream(self, request: Request[Piece]) -> Iterator[Piece]:
        """The lines of an answer as they come. What is wrong with the request is raised at once; a
        connection that breaks later is not taken up again."""
        attempts = self._connection.attempts(request)
        while True:
            try:
                asked = self._http.build_request(**self._connection.call_options(request))
                response = self._http.send(asked, stream=True)
                body = b"" if response.is_success else response.read()
            except self._broken as error:
                pause = attempts.failed(error)
            else:
                again = attempts.answered(response.status_code, response.headers, body)
                if again is None:
                    return self._pieces(request, response)
                pause = again
            time.sleep(pause)

    def _pieces(self, request: Request[Piece], response: httpx.Response) -> Iterator[Piece]:
        try:
            for line in response.iter_lines():
                piece = request.read(line.encode())
                yield piece
                if piece.done is not None:
                    return
        except self._broken as error:
            raise activations.broken_off(self._url) from error
        finally:
            response.close()
        raise activations.broken_off(self._url)

    def _follow(self, request: Request[Event], seconds: float | None) -> Iterator[Event]:
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
                with self._http.stream(**self._connection.call_options(asked)) as response:
                    body = b"" if response.is_success else response.read()
                    pause = attempts.answered(response.status_code, response.headers, body)
                    if pause is None:
                        following.check(response.headers)
                        for line in response.iter_lines():
                            event = following.read(line)
                            if event is not None:
                                attempts = self._connection.attempts(request)
                                yield event
            except self._broken as error:
                pause = attempts.failed(error)
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            time.sleep(events.AGAIN_SECONDS if pause is None else pause)

    def _send(self, request: Request[T]) -> T:
        attempts = self._connection.attempts(request)
        while True:
            try:
                response = self._http.request(**self._connection.call_options(request))
            except self._broken as error:
                pause = attempts.failed(error)
            else:
                again = attempts.answered(response.status_code, response.headers, response.content)
                if again is None:
                    return request.read(response.content)
                pause = again
            time.sleep(pause)
