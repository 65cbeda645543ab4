"""The durable queue, and what decides about its order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from memos.types import Books, Job, JobState, KindReport, Lane, NewJob, Outcome, Plan

if TYPE_CHECKING:
    from random import Random


class QueuePolicy(Protocol):
    """Which jobs run next; pure, and the same for all workers."""

    @property
    def limits(self) -> Mapping[str, int]:
        """How many of a kind may run at once, over all workers; kinds not named have no limit."""
        ...

    def level(self, kind: str, *, mean: float, spent: float) -> int:
        """How urgent a job is, 0 first, whose kind takes `mean` seconds and that has itself run for
        `spent`."""
        ...

    def plan(
        self, lanes: Sequence[Lane], books: Books, *, now: float, limit: int, rng: Random
    ) -> Plan:
        """What a worker takes of these lanes, which have due jobs: at most `limit` of them."""
        ...


class JobQueue(Protocol):
    """Durable jobs with leases. At most one worker holds a job; an expired lease frees it.

    What becomes of a job other than by plan is recorded as an event: `job.fail` (to be tried
    again), `job.dead`, `job.lost` (its worker died), `job.cancel`, `job.requeue`; and one
    `job.succeed` for all of a kind that succeeded together.
    """

    def enqueue(self, job: NewJob) -> str: ...

    def lease(
        self,
        worker: str,
        *,
        kinds: Sequence[str] | Mapping[str, int],
        limit: int,
        seconds: float,
    ) -> list[Job]:
        """Takes due jobs (queued, or failed with run_at passed) as the policy plans, in its order,
        and counts the attempt; those whose lease has expired wait again before, or are dead if no
        attempts are left. A mapping names the newest version of each kind's payload that the
        worker knows. What was tried before comes alone, so that what kills its worker takes
        nothing along."""
        ...

    def heartbeat(
        self, job_id: str, worker: str, *, seconds: float, progress: float | None = None
    ) -> bool:
        """Extends the lease. False if the worker no longer holds it."""
        ...

    def extend(self, worker: str, jobs: Collection[str], *, seconds: float) -> frozenset[str]:
        """Extends a worker's leases of the jobs that it works on; the ids of those that it holds
        still. What it holds besides, since an end could not be recorded, runs out."""
        ...

    def finish(
        self,
        job_id: str,
        worker: str,
        *,
        error: str | None = None,
        retry_in: float | None = None,
    ) -> None:
        """`settle` for one job, at no cost."""
        ...

    def settle(self, worker: str, outcomes: Sequence[Outcome]) -> None:
        """Success without `error`; else failed (due again in `retry_in` s), or dead if attempts are
        used up or `retry_in` is None. Jobs that the worker no longer holds are passed over. Costs
        go to the tenants' accounts and into the mean of the kind."""
        ...

    def postpone(self, job_id: str, worker: str, *, seconds: float, spent: float = 0.0) -> None:
        """Gives a job back, the attempt uncounted, due in `seconds`; `spent` is how long it ran.
        Does nothing if the worker no longer holds it."""
        ...

    def release(self, worker: str) -> int:
        """Returns all leases of a stopping worker: its jobs are queued, the attempt uncounted."""
        ...

    def get(self, tenant_id: str, job_id: str) -> Job:
        """JobNotFound if the tenant has none such."""
        ...

    def page(
        self,
        tenant_id: str,
        *,
        states: Sequence[JobState] = (),
        cube_id: str | None = None,
        before: str | None = None,
        limit: int,
    ) -> list[Job]:
        """Newest first (ids less than `before`)."""
        ...

    def retry(self, tenant_id: str, job_id: str, *, actor: str | None = None) -> Job:
        """Queues a failed, dead or cancelled job with fresh attempts; StateConflict otherwise."""
        ...

    def stop(self, tenant_id: str, job_id: str, *, reason: str | None, actor: str | None) -> Job:
        """Cancels a job. One that runs is no longer held by its worker, which notices at its next
        beat. StateConflict if it has ended."""
        ...

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Jobs by (kind, state), over all tenants, for metrics."""
        ...

    def report(
        self, tenant_id: str | None, *, cube_id: str | None = None
    ) -> tuple[KindReport, ...]:
        """The queue kind by kind, of one tenant (and cube) or of all. Sums of runs are over all
        tenants, and given for kinds of which there are jobs."""
        ...
