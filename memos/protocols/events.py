"""What the core needs of the record of events, and of the rules and times that
cause them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from memos.types import Event, LifecycleRule, NewEvent, NewJob, Schedule


class EventStore(Protocol):
    """Append-only. What changes something records its events in the same transaction (`events=` of
    the stores' writes); `append` is for those that change nothing else."""

    def append(self, tenant_id: str, events: Sequence[NewEvent]) -> tuple[str, ...]:
        """Ids in the order of `events`."""
        ...

    def get(self, tenant_id: str, event_id: str) -> Event:
        """EventNotFound if the tenant has none such."""
        ...

    def about(self, tenant_id: str, subject: str, *, limit: int) -> list[Event]:
        """The newest `limit` that name `subject`, oldest first."""
        ...

    def page(
        self,
        tenant_id: str,
        *,
        after: int,
        kinds: Sequence[str] = (),
        cube_id: str | None = None,
        limit: int,
    ) -> list[Event]:
        """By `seq`, greater than `after`. A kind that ends in a dot means all that begin so."""
        ...

    def last(self, tenant_id: str) -> int:
        """The newest `seq`, 0 before the first event."""
        ...


class Retention(Protocol):
    """Takes out of jobs and events what has grown old, a part at a time. The history of memories
    is not touched, nor is any job that did not end well."""

    def tenants(self) -> tuple[str, ...]:
        """All that have events."""
        ...

    def jobs(self, *, before: datetime, limit: int) -> int:
        """Removes up to `limit` jobs that succeeded or were cancelled before then; how many."""
        ...

    def events(
        self, tenant_id: str, *, before: datetime, after: int, limit: int
    ) -> tuple[int, int | None]:
        """Looks at the `limit` events after number `after`, and removes those from before then
        that concern no memory or fact that is there and no job that is not over; that something
        was erased stays on record. How many went, and where to go on; None: that was all."""
        ...


class RuleStore(Protocol):
    """The lifecycle rules of cubes, at most one per kind of memory."""

    def all(self, cube_id: str) -> tuple[LifecycleRule, ...]:
        """By kind."""
        ...

    def put(self, cube_id: str, rule: LifecycleRule, *, jobs: Sequence[NewJob] = ()) -> None:
        """Replaces the one of its kind, or takes it away if it has no span; queues `jobs` in the
        same transaction. CubeNotFound."""
        ...


class Timetable(Protocol):
    """Schedules, by cube and name."""

    def put(self, tenant_id: str, new: Schedule) -> None:
        """Replaces the one of its name."""
        ...

    def all(self, cube_id: str) -> tuple[Schedule, ...]:
        """By name."""
        ...

    def remove(self, cube_id: str, name: str) -> Schedule:
        """ScheduleNotFound if there is none such."""
        ...

    def due(self, *, ahead: datetime, limit: int) -> list[tuple[str, Schedule]]:
        """With their tenants: those whose time has come, and those that were made or fired after
        `ahead`, by a clock that was set back since."""
        ...

    def fire(self, found: Schedule, *, next_at: datetime, job: NewJob | None) -> str | None:
        """Moves it on to `next_at` and queues `job`, in one transaction; the job's id. None, and
        nothing happens, if it is no longer as it was found: somebody else has fired it. Without
        a job its past is forgotten."""
        ...
