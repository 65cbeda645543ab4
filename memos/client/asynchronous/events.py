"""The verbs of events, for the async client."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from memos.client.asynchronous.base import AsyncVerbs
from memos.client.requests import events as requests
from memos.client.requests.request import Request
from memos.types import Event, Explanation, Page


class AsyncEventVerbs(AsyncVerbs):
    """What happened by itself, and why."""

    @abstractmethod
    def _follow(self, request: Request[Event], seconds: float | None) -> AsyncIterator[Event]: ...

    async def explain(
        self, id: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> Explanation:
        """Why a memory, a fact, a summary, a job or an event is as it is. NotFound if the id is
        nobody's."""
        return await self._send(requests.explain(id, cube=cube, known_as_of=known_as_of))

    async def events(
        self,
        *,
        kinds: Sequence[str] = (),
        cube: str | None = None,
        after: int = 0,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Event]:
        """Events with a `seq` greater than `after`, oldest first. A kind that ends in a dot, such
        as `memory.`, means all that begin so."""
        return await self._send(
            requests.events(kinds=kinds, cube=cube, after=after, cursor=cursor, limit=limit)
        )

    def follow(
        self,
        *,
        kinds: Sequence[str] = (),
        cube: str | None = None,
        after: int | None = None,
        seconds: float | None = None,
    ) -> AsyncIterator[Event]:
        """Events as they happen: those with a `seq` greater than `after` (None: from now on), for
        ever or for `seconds`. A connection that breaks is taken up again where it was."""
        return self._follow(
            requests.follow(kinds=kinds, cube=cube, after=after, seconds=seconds), seconds
        )
