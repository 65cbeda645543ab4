"""What the verbs of background jobs and of schedules send, and how answers are read."""

from __future__ import annotations

from collections.abc import Sequence

from memos.client.bodies import (
    Query,
    cube_path,
    given,
    idempotency,
    json_body,
    paging,
    reader,
    segment,
    word,
)
from memos.client.requests.request import Request
from memos.types import Job, JobState, Page, QueueReport, Schedule


def job(job_id: str, *, wait: float = 0.0) -> Request[Job]:
    """`wait`: the server answers when the job has ended, or after so many seconds."""
    return Request(
        method="GET",
        path=f"/v1/jobs/{segment(job_id, 'job id')}",
        query=[("wait", f"{wait:g}")] if wait else [],
        read=reader(Job),
        patience=wait,
    )


def jobs(
    *, states: Sequence[JobState], cube: str | None, cursor: str | None, limit: int
) -> Request[Page[Job]]:
    query: Query = [("state", word(state)) for state in states]
    query += list(given({"cube": cube}).items())
    return Request(
        method="GET",
        path="/v1/jobs",
        query=query + paging(cursor, limit),
        read=reader(Page[Job]),
    )


def retry_job(job_id: str, *, idempotency_key: str) -> Request[Job]:
    return Request(
        method="POST",
        path=f"/v1/jobs/{segment(job_id, 'job id')}/retry",
        headers=idempotency(idempotency_key),
        read=reader(Job),
    )


def cancel_job(job_id: str, *, reason: str | None, idempotency_key: str) -> Request[Job]:
    return Request(
        method="POST",
        path=f"/v1/jobs/{segment(job_id, 'job id')}/cancel",
        body=json_body(given({"reason": reason})),
        headers=idempotency(idempotency_key),
        read=reader(Job),
    )


def queue(*, cube: str | None) -> Request[QueueReport]:
    return Request(
        method="GET",
        path="/v1/queue",
        query=list(given({"cube": cube}).items()),
        read=reader(QueueReport),
    )


def schedules(*, cube: str) -> Request[tuple[Schedule, ...]]:
    return Request(
        method="GET", path=f"{cube_path(cube)}/schedules", read=reader(tuple[Schedule, ...])
    )


def schedule(
    name: str, cron: str, kind: str, *, zone: str | None, cube: str, idempotency_key: str
) -> Request[Schedule]:
    return Request(
        method="PUT",
        path=f"{cube_path(cube)}/schedules/{segment(name, 'name')}",
        body=json_body(given({"cron": cron, "kind": kind, "zone": zone})),
        headers=idempotency(idempotency_key),
        read=reader(Schedule),
    )


def unschedule(name: str, *, cube: str, idempotency_key: str) -> Request[Schedule]:
    return Request(
        method="DELETE",
        path=f"{cube_path(cube)}/schedules/{segment(name, 'name')}",
        headers=idempotency(idempotency_key),
        read=reader(Schedule),
    )
