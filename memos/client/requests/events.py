"""What the verbs of events send, and how answers are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from memos.client.bodies import Query, cube_path, given, paging, reader, segment, times
from memos.client.requests.request import Request
from memos.errors import MemosError
from memos.types import Event, Explanation, Page
from memos.validation import check_texts

MEDIA = "text/event-stream"
_QUIET_SECONDS = 30.0
"""How much longer than any answer a stream may be silent: twice the time between its beats."""


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
    query: Query = [("kinds", kind) for kind in check_texts("kinds", kinds)]
    query += [*given({"cube": cube}).items(), ("after", str(after))]
    return Request(
        method="GET",
        path="/v1/events",
        query=query + paging(cursor, limit),
        read=reader(Page[Event]),
    )


def follow(
    *, kinds: Sequence[str], cube: str | None, after: int | None, seconds: float | None
) -> Request[Event]:
    query: Query = [("kinds", kind) for kind in check_texts("kinds", kinds)]
    query += [(name, str(value)) for name, value in given({"cube": cube, "after": after}).items()]
    if seconds is not None:
        query.append(("seconds", f"{seconds:g}"))
    return Request(
        method="GET",
        path="/v1/events/stream",
        query=query,
        headers={"Accept": MEDIA},
        read=reader(Event),
        patience=_QUIET_SECONDS,
    )


AGAIN_SECONDS = 1.0
"""Until a stream that ended is asked for again."""


@dataclass(slots=True)
class Following:
    """Reads a stream of events, and knows how to go on with it after it broke off."""

    request: Request[Event]
    last_id: str | None = None
    _id: str | None = None
    _data: list[str] = field(default_factory=list)

    def check(self, headers: Mapping[str, str]) -> None:
        """MemosError if an answer that was accepted is no stream: asked again, it would not become
        one."""
        found = headers.get("content-type", "")
        if found.partition(";")[0].strip().lower() != MEDIA:
            raise MemosError(
                f"the answer is not what a memos service sends ({found or 'no content type'}, not"
                f" {MEDIA}); check the URL and that client and service have the same major version"
            )

    def read(self, line: str) -> Event | None:
        """An event when its last line has come."""
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "id":
                self._id = value
            elif name == "data":
                self._data.append(value)
            return None
        # Only now: what was cut off before its last line has not been seen.
        self.last_id = self._id
        data, self._data = self._data, []
        return self.request.read("\n".join(data).encode()) if data else None

    def again(self, seconds: float | None) -> Request[Event]:
        """The request that goes on after the last event that was read, for so long."""
        self._data.clear()
        self._id = self.last_id
        query = [pair for pair in self.request.query if pair[0] != "seconds"]
        if seconds is not None:
            query.append(("seconds", f"{seconds:g}"))
        headers = dict(self.request.headers)
        if self.last_id is not None:
            headers["Last-Event-ID"] = self.last_id
        return replace(self.request, query=query, headers=headers)
