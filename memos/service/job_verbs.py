"""The verbs of background jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence

from memos.errors import JobFailed, WaitTimeout
from memos.service import cursors
from memos.service.verbs import Verbs
from memos.types import Job, JobState, Page
from memos.validation import check_limit

_POLL_SECONDS = 0.02


class JobVerbs(Verbs):
    """job, jobs, wait_for, retry_job."""

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
        listing = f"jobs {self.tenant_id} {cube_id} {[str(JobState(s).value) for s in states]}"
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
        job = self._service.stores.jobs.retry(self.tenant_id, id)
        self._service.worker.wake()
        return job
