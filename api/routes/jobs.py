"""Jobs: list, look at, wait for, try again, cancel; and how the queue stands."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Query as Parameters
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from memos.api.auth import Caller, Gate, needs
from memos.api.idempotency import Repeatable
from memos.api.queries import JobQuery, JobsQuery, QueueQuery
from memos.api.responses import CubeName, JobId, ScheduleName, WireResponse
from memos.api.schemas.fields import ReasonIn
from memos.api.schemas.jobs import ScheduleIn
from memos.types import Job, JobState, Page, QueueReport, Role, Schedule

router = APIRouter(prefix="/v1", tags=["jobs"], route_class=Gate)

_ENDED = {JobState.SUCCEEDED, JobState.DEAD, JobState.CANCELLED}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5


@router.get("/jobs", operation_id="jobs", summary="List jobs", response_model=Page[Job])
@needs(Role.READER)
def jobs(caller: Caller, query: Annotated[JobsQuery, Parameters()]) -> Response:
    """Newest first; those of cubes that the key reaches, so a page may hold fewer than `limit`."""
    if query.cube is not None:
        caller.check_cube(query.cube)
    page = caller.memory.jobs(
        states=query.state, cube=query.cube, cursor=query.cursor, limit=query.limit
    )
    items = tuple(job for job in page.items if caller.reaches(job.cube_id))
    return WireResponse(Page(items=items, next_cursor=page.next_cursor))


@router.get("/jobs/{id}", operation_id="job", summary="A job", response_model=Job)
@needs(Role.READER)
async def job(
    request: Request, caller: Caller, id: JobId, query: Annotated[JobQuery, Parameters()]
) -> Response:
    """At once, or with `wait` when it has ended or the time is over: look at its `state`."""
    deadline = time.monotonic() + query.wait
    pause = _FIRST_PAUSE
    while True:
        found = caller.check_job(await run_in_threadpool(caller.memory.job, id))
        left = deadline - time.monotonic()
        if found.state in _ENDED or left <= 0 or request.app.state.stopping.is_set():
            return WireResponse(found)
        if await request.is_disconnected():
            return WireResponse(found)
        await _pause(request.app.state.stopping, min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE)


@router.post(
    "/jobs/{id}/retry", operation_id="retry_job", summary="Try a job again", response_model=Job
)
@needs(Role.WRITER)
def retry_job(caller: Caller, id: JobId, once: Repeatable) -> Response:
    """With fresh attempts. 409 unless it is failed, dead or cancelled."""
    caller.check_job(caller.memory.job(id))
    return once.do(lambda: WireResponse(caller.memory.retry_job(id)))


@router.post(
    "/jobs/{id}/cancel", operation_id="cancel_job", summary="Cancel a job", response_model=Job
)
@needs(Role.WRITER)
def cancel_job(
    caller: Caller, id: JobId, once: Repeatable, body: ReasonIn | None = None
) -> Response:
    """One that runs is taken from its worker, which notices at its next step. 409 if it has ended
    already."""
    caller.check_job(caller.memory.job(id))
    reason = body.reason if body else None
    return once.do(lambda: WireResponse(caller.memory.cancel_job(id, reason=reason)))


@router.get(
    "/queue", operation_id="queue", summary="How the queue stands", response_model=QueueReport
)
@needs(Role.READER, whole_tenant=True)
def queue(caller: Caller, query: Annotated[QueueQuery, Parameters()]) -> Response:
    """Kind by kind, and what runs now."""
    return WireResponse(caller.memory.queue(cube=query.cube))


@router.get(
    "/cubes/{cube}/schedules",
    operation_id="schedules",
    summary="The schedules of a cube",
    response_model=tuple[Schedule, ...],
)
@needs(Role.READER)
def schedules(caller: Caller, cube: CubeName) -> Response:
    """By name."""
    return WireResponse(caller.memory.schedules(cube=cube))


@router.put(
    "/cubes/{cube}/schedules/{name}",
    operation_id="schedule",
    summary="Schedule jobs",
    response_model=Schedule,
)
@needs(Role.ADMIN)
def schedule(
    caller: Caller, cube: CubeName, name: ScheduleName, once: Repeatable, body: ScheduleIn
) -> Response:
    """Replaces the schedule of this name. Each of its times queues one job, whatever the number of
    workers."""
    return once.do(
        lambda: WireResponse(
            caller.memory.schedule(name, body.cron, body.kind, zone=body.zone, cube=cube)
        )
    )


@router.delete(
    "/cubes/{cube}/schedules/{name}",
    operation_id="unschedule",
    summary="Take a schedule away",
    response_model=Schedule,
)
@needs(Role.ADMIN)
def unschedule(caller: Caller, cube: CubeName, name: ScheduleName, once: Repeatable) -> Response:
    """What it has queued already runs."""
    return once.do(lambda: WireResponse(caller.memory.unschedule(name, cube=cube)))


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    """Cut short when the service stops, so that a waiting client doesn't hold it up."""
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except asyncio.TimeoutError:
        return
