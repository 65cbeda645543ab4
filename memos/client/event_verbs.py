"""The verbs of events, of the queue and of schedules, for the sync client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from memos.client import event_requests as requests
from memos.client.requests import Request
from memos.types import Event, Explanation, Job, Page, QueueReport, Schedule

T = TypeVar("T")


class EventVerbs(ABC):
    """What happened by itself, and why."""

    @abstractmethod
    def _send(self, request: Request[T]) -> T: ...

    @abstractmethod
    def _key(self, given: str | None = None) -> str: ...

    @abstractmethod
    def _follow(self, request: Request[Event], seconds: float | None) -> Iterator[Event]: ...

    def explain(
        self, id: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> Explanation:
        """Why a memory, a fact, a summary, a job or an event is as it is. NotFound if the id is
        nobody's."""
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

    def cancel_job(self, id: str, *, reason: str | None = None) -> Job:
        """Ends a job that waits, or takes it from the worker that runs it, which notices at its
        next step. StateConflict if it has ended already."""
        return self._send(requests.cancel_job(id, reason=reason, idempotency_key=self._key()))

    def queue(self, *, cube: str | None = None) -> QueueReport:
        """How background work stands, kind by kind, and what runs now."""
        return self._send(requests.queue(cube=cube))

    def schedules(self, *, cube: str = "default") -> tuple[Schedule, ...]:
        """By name."""
        return self._send(requests.schedules(cube=cube))

    def schedule(
        self, name: str, cron: str, kind: str, *, zone: str | None = None, cube: str = "default"
    ) -> Schedule:
        """Queues a job of `kind` at the times of `cron`, such as `30 3 * * *`, in `zone` (default:
        the setting time_zone). Replaces the schedule of this name."""
        return self._send(
            requests.schedule(name, cron, kind, zone=zone, cube=cube, idempotency_key=self._key())
        )

    def unschedule(self, name: str, *, cube: str = "default") -> Schedule:
        """Takes a schedule away. ScheduleNotFound."""
        return self._send(requests.unschedule(name, cube=cube, idempotency_key=self._key()))

    def follow(
        self,
        *,
        kinds: Sequence[str] = (),
        cube: str | None = None,
        after: int | None = None,
        seconds: float | None = None,
    ) -> Iterator[Event]:
        """Events as they happen: those with a `seq` greater than `after` (None: from now on), for
        ever or for `seconds`. A connection that breaks is taken up again where it was."""
        return self._follow(
            requests.follow(kinds=kinds, cube=cube, after=after, seconds=seconds), seconds
        )
