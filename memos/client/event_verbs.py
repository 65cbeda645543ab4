"""The verbs of events, for the sync client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from memos.client import event_requests as requests
from memos.client.requests import Request
from memos.types import Event, Explanation, Page

T = TypeVar("T")


class EventVerbs(ABC):
    """What happened by itself, and why."""

    @abstractmethod
    def _send(self, request: Request[T]) -> T: ...

    @abstractmethod
    def _key(self, given: str | None = None) -> str: ...

    def explain(
        self, id: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> Explanation:
        """Why a memory, a fact, a job or an event is as it is. NotFound if the id is nobody's."""
        return self._send(requests.explain(id, cube=cube, known_as_of=known_as_of))

    def events(
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
        return self._send(
            requests.events(kinds=kinds, cube=cube, after=after, cursor=cursor, limit=limit)
        )
