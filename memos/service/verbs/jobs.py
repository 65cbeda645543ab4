"""The verbs of background jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence

from memos.errors import JobFailed, WaitTimeout
from memos.service import cursors
from memos.service.verbs.base import Verbs
from memos.types import Job, JobState, Page, QueueReport, Schedule
from memos.validation import check_limit, check_text, to_member

_POLL_SECONDS = 0.02
_MOST_RUNNING = 100


class JobVerbs(Verbs):
    """job, jobs, wait_for, retry_job, cancel_job, queue, and the schedules."""

    def job(self, id: str) -> Job:
        return self._service.stores.jobs.get(self.tenant_id, id)

    def jobs(
        self,
        *,
        states: Sequence[JobState] = (),
        cube: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Job]:
        """Newest first."""
        check_limit("limit", limit, self._service.settings)
        cube_id = None if cube is None else self._cube(cube).id
        states = [to_member("states", state, JobState) for state in states]
        listing = f"jobs {self.tenant_id} {cube_id} {[state.value for state in states]}"
        rows = self._service.stores.jobs.page(
            self.tenant_id,
            states=states,
            cube_id=cube_id,
            before=cursors.decode(listing, cursor) if cursor else None,
            limit=limit + 1,
        )
        more = len(rows) > limit
        return Page(
            items=tuple(rows[:limit]),
            next_cursor=cursors.encode(listing, rows[limit - 1].id) if more else None,
        )

    def wait_for(self, job_id: str, *, timeout: float = 60.0) -> Job:
        """The job once it has succeeded. JobFailed if it is dead or cancelled, WaitTimeout if it
        is neither within `timeout` s."""
        deadline = time.monotonic() + timeout
        while True:
            job = self.job(job_id)
            if job.state is JobState.SUCCEEDED:
                return job
            if job.state in (JobState.DEAD, JobState.CANCELLED):
                raise JobFailed(
                    f"job {job_id} ({job.kind}) is {job.state.value}: {job.error}",
                    job_id=job_id,
                    error=job.error,
                )
            if time.monotonic() >= deadline:
                raise WaitTimeout(
                    f"job {job_id} ({job.kind}) is still {job.state.value} after {timeout} s",
                    job_id=job_id,
                )
            time.sleep(_POLL_SECONDS)

    def retry_job(self, id: str) -> Job:
        """Queues a failed, dead or cancelled job again."""
        job = self._service.stores.jobs.retry(self.tenant_id, id, actor=self._actor)
        self._service.worker.wake()
        return job

    def cancel_job(self, id: str, *, reason: str | None = None) -> Job:
        """Ends a job that waits, or takes it from the worker that runs it, which notices at its
        next step. StateConflict if it has ended already."""
        if reason is not None:
            check_text("reason", reason)
        return self._service.stores.jobs.stop(self.tenant_id, id, reason=reason, actor=self._actor)

    def queue(self, *, cube: str | None = None) -> QueueReport:
        """How background work stands, kind by kind, and what runs now."""
        stores = self._service.stores
        cube_id = None if cube is None else self._cube(cube).id
        running = stores.jobs.page(
            self.tenant_id, states=[JobState.RUNNING], cube_id=cube_id, limit=_MOST_RUNNING
        )
        return QueueReport(
            at=self._service.clock(),
            kinds=stores.jobs.report(self.tenant_id, cube_id=cube_id),
            running=tuple(running),
            last_seq=stores.events.last(self.tenant_id),
        )

    def schedules(self, *, cube: str = "default") -> tuple[Schedule, ...]:
        """By name."""
        return self._service.stores.timetable.all(self._cube(cube).id)

    def schedule(
        self, name: str, cron: str, kind: str, *, zone: str | None = None, cube: str = "default"
    ) -> Schedule:
        """Queues a job of `kind` at the times of `cron`, such as `30 3 * * *`, in `zone` (default:
        the setting time_zone). Replaces the schedule of this name."""
        return self._service.schedules.put(
            self._cube(cube), name, cron, kind, zone=zone, actor=self._actor
        )

    def unschedule(self, name: str, *, cube: str = "default") -> Schedule:
        """Takes a schedule away. ScheduleNotFound."""
        return self._service.stores.timetable.remove(self._cube(cube).id, name)
