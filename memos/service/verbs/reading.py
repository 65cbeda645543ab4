"""The verbs that read memories, as they are or as they were known at a time past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from memos.service.verbs.base import Verbs
from memos.types import (
    LIVE,
    Kind,
    Link,
    Memory,
    MemoryVersion,
    Page,
    Search,
    SearchResult,
    State,
)
from memos.validation import check_time, to_member, to_utc


class ReadVerbs(Verbs):
    """get, memories, search, history, links.

    Each can look from another time: with `as_of` it knows only what had happened by then (the
    memory's own time, else that of its arrival), with `known_as_of` what was known then, forgotten
    and changed memories as they were. InvalidInput for times without a zone, and for a
    `known_as_of` in the future.
    """

    def get(
        self,
        id: str,
        *,
        cube: str = "default",
        as_of: datetime | None = None,
        known_as_of: datetime | None = None,
    ) -> Memory:
        """MemoryNotFound if the cube has none such, or it was erased."""
        view = self._view(as_of=as_of, known_as_of=known_as_of)
        return self._service.reader.get(self._cube(cube), id, view)

    def memories(
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
        """A page of memories in order of arrival; the cursor goes on with the same parameters."""
        return self._service.reader.page(
            self._cube(cube),
            kinds=tuple(to_member("kinds", kind, Kind) for kind in kinds),
            states=tuple(to_member("states", state, State) for state in states),
            user_id=user_id,
            agent_id=agent_id,
            session_id=session_id,
            filter=filter,
            cursor=cursor,
            limit=limit,
            view=self._view(as_of=as_of, known_as_of=known_as_of),
        )

    def search(
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
        """The memories that answer `text` best. No hits means that nothing matched; a failure
        is an error. See `memos.types.Search` for the parameters."""
        for name, value in (("since", since), ("until", until)):
            check_time(name, value)
        view = self._view(as_of=as_of, known_as_of=known_as_of)
        target = self._cube(cube)
        with self._service.foreground.request():
            found = self._service.summary_search.search(
                target,
                Search(
                    text=text,
                    limit=limit,
                    user_id=user_id,
                    agent_id=agent_id,
                    session_id=session_id,
                    kinds=tuple(to_member("kinds", kind, Kind) for kind in kinds),
                    filter=filter,
                    since=None if since is None else to_utc(since),
                    until=None if until is None else to_utc(until),
                    place=place,
                    as_of=view.as_of,
                    known_as_of=view.known_as_of,
                    mmr=mmr,
                    token_budget=token_budget,
                    explain=explain,
                    summaries=summaries,
                ),
            )
        if view.known_as_of is None:
            self._service.gave_out(target, [hit.memory for hit in found.hits])
        return found

    def history(
        self, id: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> tuple[MemoryVersion, ...]:
        """Every version, oldest first; of an erased memory only that it was, and when it went."""
        view = self._view(known_as_of=known_as_of)
        return self._service.reader.history(self._cube(cube), id, view)

    def links(
        self, id: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> tuple[Link, ...]:
        """The memory's links in both directions."""
        view = self._view(known_as_of=known_as_of)
        return self._service.reader.links(self._cube(cube), id, view)
