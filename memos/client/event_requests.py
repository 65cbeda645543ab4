"""What the verbs of events send and how their answers are read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from memos.client.bodies import Query, cube_path, given, paging, reader, segment, times
from memos.client.requests import Request
from memos.types import Event, Explanation, Page


def explain(id: str, *, cube: str, known_as_of: datetime | None) -> Request[Explanation]:
    return Request(
        method="GET",
        path=f"{cube_path(cube)}/why/{segment(id, 'id')}",
        query=times(known_as_of=known_as_of),
        read=reader(Explanation),
    )


def events(
    *, kinds: Sequence[str], cube: str | None, after: int, cursor: str | None, limit: int
) -> Request[Page[Event]]:
    query: Query = [("kinds", kind) for kind in kinds]
    query += [*given({"cube": cube}).items(), ("after", str(after))]
    return Request(
        method="GET",
        path="/v1/events",
        query=query + paging(cursor, limit),
        read=reader(Page[Event]),
    )
