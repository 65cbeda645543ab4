"""The async client: `AsyncClient` has the verbs of `MemoryOS` as coroutines, over HTTP.

Knows how to send a request, wait and send again; what is sent is in `memos.client.requests`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from memos.client import activation_requests, event_requests, requests
from memos.client.async_activation_verbs import AsyncActivationVerbs
from memos.client.async_adapter_verbs import AsyncAdapterVerbs
from memos.client.async_dump_verbs import AsyncDumpVerbs
from memos.client.async_event_verbs import AsyncEventVerbs
from memos.client.async_graph_verbs import AsyncGraphVerbs
from memos.client.async_keeping_verbs import AsyncKeepingVerbs
from memos.client.async_lifecycle_verbs import AsyncLifecycleVerbs
from memos.client.batches import Splitter, in_order
from memos.client.connection import LONGEST_POLL, Connection, connection, ended, overdue
from memos.client.requests import Request
from memos.errors import WaitTimeout
from memos.messages import Item
from memos.types import (
    LIVE,
    UNSET,
    Added,
    AddProgress,
    ApiKey,
    Cube,
    CubeDescription,
    Event,
    Image,
    IssuedKey,
    Job,
    JobState,
    Kind,
    Link,
    Memory,
    MemoryVersion,
    Page,
    Piece,
    Role,
    Search,
    SearchResult,
    State,
    Unset,
)

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


class AsyncClient(
    AsyncGraphVerbs,
    AsyncActivationVerbs,
    AsyncAdapterVerbs,
    AsyncDumpVerbs,
    AsyncEventVerbs,
    AsyncLifecycleVerbs,
    AsyncKeepingVerbs,
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

    # Memories

    async def add(
        self,
        content: Item | Sequence[Item],
        *,
        cube: str = "default",
        kind: Kind = Kind.EPISODIC,
        user_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
        speaker: str | None = None,
        occurred_at: datetime | None = None,
        place: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        priority: float | None = None,
        expires_at: datetime | None = None,
        wait: bool = True,
        idempotency_key: str | None = None,
    ) -> Added:
        """Adds one memory or a list of them; the keyword fields stand in where an item has none.

        Answers when they are durable, and with `wait` also searchable. A key makes a repetition
        by the caller harmless too; without one, each call is safe against its own retries.
        """
        return await self._send(
            requests.add(
                content,
                cube=cube,
                defaults=requests.defaults(
                    kind=kind,
                    user_id=user_id,
                    agent_id=agent_id,
                    session_id=session_id,
                    speaker=speaker,
                    occurred_at=occurred_at,
                    place=place,
                    metadata=metadata,
                    priority=priority,
                    expires_at=expires_at,
                ),
                wait=wait,
                idempotency_key=self._key(idempotency_key),
            )
        )

    async def add_batch(
        self,
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        cube: str = "default",
        kind: Kind = Kind.EPISODIC,
        user_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
        speaker: str | None = None,
        occurred_at: datetime | None = None,
        place: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        priority: float | None = None,
        expires_at: datetime | None = None,
        batch_size: int = 256,
    ) -> AsyncIterator[AddProgress]:
        """Adds any number of items, holding one part at a time; yields what is searchable so far.

        Each part is one request and is retried as one. After an error the parts yielded before
        are kept.
        """
        splitter = Splitter(size=batch_size)
        defaults = requests.defaults(
            kind=kind,
            user_id=user_id,
            agent_id=agent_id,
            session_id=session_id,
            speaker=speaker,
            occurred_at=occurred_at,
            place=place,
            metadata=metadata,
            priority=priority,
            expires_at=expires_at,
        )
        done = 0
        async for item in in_order(items):
            for part in splitter.put(item):
                done += len(part)
                yield await self._add_part(part, cube, defaults, done)
        for part in splitter.rest():
            done += len(part)
            yield await self._add_part(part, cube, defaults, done)

    async def _add_part(
        self, part: list[Item], cube: str, defaults: Mapping[str, Any], done: int
    ) -> AddProgress:
        added = await self._send(
            requests.add(part, cube=cube, defaults=defaults, wait=True, idempotency_key=self._key())
        )
        return AddProgress(done=done, ids=tuple(memory.id for memory in added.memories))

    async def get(
        self,
        id: str,
        *,
        cube: str = "default",
        as_of: datetime | None = None,
        known_as_of: datetime | None = None,
    ) -> Memory:
        """The memory in its newest version, or in the one known at `known_as_of`. MemoryNotFound,
        also if it is in another cube."""
        return await self._send(requests.get(id, cube=cube, as_of=as_of, known_as_of=known_as_of))

    async def memories(
        self,
        *,
        cube: str = "default",
        kinds: Sequence[Kind] = (),
        states: Sequence[State] = LIVE,
        user_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
        filter: Mapping[str, Any] | None = None,
        as_of: datetime | None = None,
        known_as_of: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Memory]:
        """A page of a cube's memories; `next_cursor` of it asks for the next one."""
        return await self._send(
            requests.memories(
                cube=cube,
                kinds=kinds,
                states=states,
                user_id=user_id,
                agent_id=agent_id,
                session_id=session_id,
                filter=filter,
                as_of=as_of,
                known_as_of=known_as_of,
                cursor=cursor,
                limit=limit,
            )
        )

    async def search(
        self,
        text: str,
        *,
        cube: str = "default",
        limit: int = 10,
        user_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
        kinds: Sequence[Kind] = (),
        filter: Mapping[str, Any] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        place: str | None = None,
        as_of: datetime | None = None,
        known_as_of: datetime | None = None,
        mmr: float | None = None,
        token_budget: int | None = None,
        explain: bool = False,
        summaries: int = 0,
    ) -> SearchResult:
        """The memories that answer a question best, each with its score and what made it up, and
        so many summaries besides."""
        wanted = Search(
            text=text,
            limit=limit,
            user_id=user_id,
            agent_id=agent_id,
            session_id=session_id,
            kinds=tuple(kinds),
            filter=filter,
            since=since,
            until=until,
            place=place,
            as_of=as_of,
            known_as_of=known_as_of,
            mmr=mmr,
            token_budget=token_budget,
            explain=explain,
            summaries=summaries,
        )
        return await self._send(requests.search(wanted, cube=cube))

    async def update(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
        content: str | Unset = UNSET,
        kind: Kind | Unset = UNSET,
        place: str | Unset | None = UNSET,
        occurred_at: datetime | Unset | None = UNSET,
        speaker: str | Unset | None = UNSET,
        metadata: Mapping[str, Any] | Unset = UNSET,
        priority: float | Unset = UNSET,
        expires_at: datetime | Unset | None = UNSET,
        images: Sequence[Image] | Unset = UNSET,
    ) -> Memory:
        """Changes the fields that are given; None empties one. VersionConflict if the memory is
        no longer at `if_version`."""
        return await self._send(
            requests.update(
                id,
                cube=cube,
                if_version=if_version,
                reason=reason,
                changes={
                    "content": content,
                    "kind": kind,
                    "place": place,
                    "occurred_at": occurred_at,
                    "speaker": speaker,
                    "metadata": metadata,
                    "priority": priority,
                    "expires_at": expires_at,
                    "images": images,
                },
                idempotency_key=self._key(),
            )
        )

    async def forget(
        self,
        id: str,
        *,
        cube: str = "default",
        erase: bool = False,
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """Archives a memory: not searched, and `restore` brings it back. `erase` deletes its text
        from every store for good and leaves a tombstone."""
        return await self._send(
            requests.forget(
                id,
                cube=cube,
                erase=erase,
                if_version=if_version,
                reason=reason,
                idempotency_key=self._key(),
            )
        )

    async def restore(self, id: str, *, cube: str = "default", reason: str | None = None) -> Memory:
        """Brings an archived memory back. StateConflict if it was erased."""
        return await self._send(
            requests.restore(id, cube=cube, reason=reason, idempotency_key=self._key())
        )

    async def history(
        self, id: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> tuple[MemoryVersion, ...]:
        """All versions of a memory, oldest first."""
        return await self._send(requests.history(id, cube=cube, known_as_of=known_as_of))

    # Links

    async def link(
        self,
        source_id: str,
        target_id: str,
        *,
        cube: str = "default",
        relation: str = "related",
        reason: str | None = None,
    ) -> Link:
        """Connects two memories of one cube; the same connection again gives the existing one."""
        return await self._send(
            requests.link(
                source_id,
                target_id,
                cube=cube,
                relation=relation,
                reason=reason,
                idempotency_key=self._key(),
            )
        )

    async def links(
        self, id: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> tuple[Link, ...]:
        """A memory's links in both directions, oldest first."""
        return await self._send(requests.links(id, cube=cube, known_as_of=known_as_of))

    async def unlink(self, link_id: str, *, cube: str = "default") -> None:
        await self._send(requests.unlink(link_id, cube=cube, idempotency_key=self._key()))

    # Cubes

    async def create_cube(
        self, name: str, *, description: str = "", metadata: Mapping[str, Any] | None = None
    ) -> Cube:
        """AlreadyExists if the name is taken."""
        return await self._send(
            requests.create_cube(
                name, description=description, metadata=metadata, idempotency_key=self._key()
            )
        )

    async def cubes(self, *, cursor: str | None = None, limit: int = 50) -> Page[Cube]:
        return await self._send(requests.cubes(cursor=cursor, limit=limit))

    async def cube(self, cube: str) -> Cube:
        """The cube of this name or id. CubeNotFound if there is none."""
        return (await self.describe_cube(cube)).cube

    async def describe_cube(self, cube: str) -> CubeDescription:
        """A cube and what is in it."""
        return await self._send(requests.describe_cube(cube))

    async def delete_cube(self, cube: str) -> None:
        """Deletes a cube with all its memories, for good."""
        await self._send(requests.delete_cube(cube, idempotency_key=self._key()))

    async def reindex(self, cube: str = "default", *, embed: bool = False) -> Job:
        """Queues the rebuild of everything derived; `embed` also makes the vectors anew."""
        return await self._send(requests.reindex(cube, embed=embed, idempotency_key=self._key()))

    # Jobs

    async def job(self, id: str) -> Job:
        return await self._send(requests.job(id))

    async def jobs(
        self,
        *,
        states: Sequence[JobState] = (),
        cube: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Job]:
        """A page of jobs, newest first."""
        return await self._send(requests.jobs(states=states, cube=cube, cursor=cursor, limit=limit))

    async def wait_for(self, job_id: str, *, timeout: float = 60.0) -> Job:
        """Waits until a job has succeeded. JobFailed if it is dead or cancelled, WaitTimeout
        after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                job = await self._send(requests.job(job_id, wait=min(left, LONGEST_POLL)))
            except WaitTimeout:
                job = None
            if job is not None and ended(job):
                return job
            if time.monotonic() >= deadline:
                raise overdue(job_id, timeout)

    async def retry_job(self, id: str) -> Job:
        """Queues a failed, dead or cancelled job again. StateConflict otherwise."""
        return await self._send(requests.retry_job(id, idempotency_key=self._key()))

    # Keys

    async def create_key(
        self, name: str, *, role: Role = Role.WRITER, cubes: Sequence[str] = ()
    ) -> IssuedKey:
        """Issues a key; its secret is in this answer only."""
        return await self._send(
            requests.create_key(name, role=role, cubes=cubes, idempotency_key=self._key())
        )

    async def keys(self) -> tuple[ApiKey, ...]:
        return await self._send(requests.keys())

    async def revoke_key(self, id: str) -> ApiKey:
        return await self._send(requests.revoke_key(id, idempotency_key=self._key()))

    # Sending

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
            raise activation_requests.broken_off(self._url) from error
        finally:
            await response.aclose()
        raise activation_requests.broken_off(self._url)

    async def _follow(self, request: Request[Event], seconds: float | None) -> AsyncIterator[Event]:
        """A stream of events that is taken up again whenever it breaks off; what is wrong with the
        request, or a service that can't be reached again, is raised."""
        deadline = None if seconds is None else time.monotonic() + seconds
        following = event_requests.Following(request)
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
            await self._sleep(event_requests.AGAIN_SECONDS if pause is None else pause)

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
