"""The verbs that read memories, for the async client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from memos.client.asynchronous.base import AsyncVerbs
from memos.client.requests import reading as requests
from memos.types import LIVE, Kind, Link, Memory, MemoryVersion, Page, Search, SearchResult, State


class AsyncReadVerbs(AsyncVerbs):
    """get, memories, search, history, links."""

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

    async def history(
        self, id: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> tuple[MemoryVersion, ...]:
        """All versions of a memory, oldest first."""
        return await self._send(requests.history(id, cube=cube, known_as_of=known_as_of))

    async def links(
        self, id: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> tuple[Link, ...]:
        """A memory's links in both directions, oldest first."""
        return await self._send(requests.links(id, cube=cube, known_as_of=known_as_of))
