"""The verbs of background jobs and of schedules, for the async client."""

from __future__ import annotations

import time
from collections.abc import Sequence

from memos.client.asynchronous.base import AsyncVerbs
from memos.client.connection import LONGEST_POLL, ended, overdue
from memos.client.requests import jobs as requests
from memos.errors import WaitTimeout
from memos.types import Job, JobState, Page, QueueReport, Schedule


class AsyncJobVerbs(AsyncVerbs):
    """Jobs, the queue that they wait in, and what queues them by the clock."""

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

    async def cancel_job(self, id: str, *, reason: str | None = None) -> Job:
        """Ends a job that waits, or takes it from the worker that runs it, which notices at its
        next step. StateConflict if it has ended already."""
        return await self._send(requests.cancel_job(id, reason=reason, idempotency_key=self._key()))

    async def queue(self, *, cube: str | None = None) -> QueueReport:
        """How background work stands, kind by kind, and what runs now."""
        return await self._send(requests.queue(cube=cube))

    async def schedules(self, *, cube: str = "default") -> tuple[Schedule, ...]:
        """By name."""
        return await self._send(requests.schedules(cube=cube))

    async def schedule(
        self, name: str, cron: str, kind: str, *, zone: str | None = None, cube: str = "default"
    ) -> Schedule:
        """Queues a job of `kind` at the times of `cron`, such as `30 3 * * *`, in `zone` (default:
        the setting time_zone). Replaces the schedule of this name."""
        return await self._send(
            requests.schedule(name, cron, kind, zone=zone, cube=cube, idempotency_key=self._key())
        )

    async def unschedule(self, name: str, *, cube: str = "default") -> Schedule:
        """Takes a schedule away. ScheduleNotFound."""
        return await self._send(requests.unschedule(name, cube=cube, idempotency_key=self._key()))
