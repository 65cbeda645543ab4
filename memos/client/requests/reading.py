"""What the verbs that read memories send and how their answers are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from memos.client.bodies import (
    Query,
    changed,
    cube_path,
    given,
    json_body,
    memory_path,
    paging,
    reader,
    times,
    word,
)
from memos.client.requests.request import Request
from memos.types import Kind, Link, Memory, MemoryVersion, Page, Search, SearchResult, State


def get(
    memory_id: str,
    *,
    cube: str,
    as_of: datetime | None = None,
    known_as_of: datetime | None = None,
) -> Request[Memory]:
    return Request(
        method="GET",
        path=memory_path(cube, memory_id),
        query=times(as_of=as_of, known_as_of=known_as_of),
        read=reader(Memory),
    )


def memories(
    *,
    cube: str,
    kinds: Sequence[Kind],
    states: Sequence[State],
    user_id: str | None,
    agent_id: str | None,
    session_id: str | None,
    filter: Mapping[str, Any] | None,
    as_of: datetime | None,
    known_as_of: datetime | None,
    cursor: str | None,
    limit: int,
) -> Request[Page[Memory]]:
    scope = {"user_id": user_id, "agent_id": agent_id, "session_id": session_id}
    query: Query = [("kinds", word(kind)) for kind in kinds]
    query += [("states", word(state)) for state in states]
    query += list(given(scope).items())
    if filter is not None:
        query.append(("filter", json_body(filter).decode()))
    query += times(as_of=as_of, known_as_of=known_as_of)
    return Request(
        method="GET",
        path=f"{cube_path(cube)}/memories",
        query=query + paging(cursor, limit),
        read=reader(Page[Memory]),
    )


def search(wanted: Search, *, cube: str) -> Request[SearchResult]:
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/search",
        body=json_body(changed(wanted)),
        read=reader(SearchResult),
    )


def history(
    memory_id: str, *, cube: str, known_as_of: datetime | None
) -> Request[tuple[MemoryVersion, ...]]:
    return Request(
        method="GET",
        path=f"{memory_path(cube, memory_id)}/history",
        query=times(known_as_of=known_as_of),
        read=reader(tuple[MemoryVersion, ...]),
    )


def links(memory_id: str, *, cube: str, known_as_of: datetime | None) -> Request[tuple[Link, ...]]:
    return Request(
        method="GET",
        path=f"{memory_path(cube, memory_id)}/links",
        query=times(known_as_of=known_as_of),
        read=reader(tuple[Link, ...]),
    )
