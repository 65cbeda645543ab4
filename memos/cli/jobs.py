"""`memos jobs` and `memos schedules`: background jobs, and a bar for one that runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from memos.cli import output
from memos.cli.options import Group, Listing, alone, cube_option, paging_options, reason_option
from memos.cli.session import Session, pass_session
from memos.types import Job, JobState, Schedule

if TYPE_CHECKING:
    from memos.cli.session import Memories

_POLL_SECONDS = 0.1
_ENDED = (JobState.SUCCEEDED, JobState.DEAD, JobState.CANCELLED)


@click.group("jobs", cls=Group)
def jobs() -> None:
    """List, show, await, retry and cancel background jobs."""


@jobs.command("list")
@click.option(
    "--state",
    "states",
    type=click.Choice([state.value for state in JobState]),
    multiple=True,
    help="May be repeated.",
)
@click.option("--cube", "-c", help="Jobs of this cube only.")
@paging_options
@pass_session
def list_(
    session: Session, states: tuple[str, ...], cube: str | None, limit: int, cursor: str | None
) -> None:
    """List jobs, newest first."""
    with session.memories() as memory:
        page = memory.jobs(
            states=tuple(JobState(state) for state in states),
            cube=cube,
            cursor=cursor,
            limit=limit,
        )
    rows = [
        (
            job.id,
            job.kind,
            job.state.value,
            f"{job.progress:.0%}",
            f"{job.attempts}/{job.max_attempts}",
            output.when(job.created_at),
            job.error,
        )
        for job in page.items
    ]
    output.emit(
        session,
        page,
        lambda: output.table(
            "id", "kind", "state", "progress", "attempts", "created", "error", rows=rows
        ),
        brief=[job.id for job in page.items],
    )
    if page.next_cursor:
        output.note(session, f"more: --cursor {page.next_cursor}")


@jobs.command("show")
@click.argument("id")
@pass_session
def show(session: Session, id: str) -> None:
    """Show a job."""
    with session.memories() as memory:
        emit_job(session, memory.job(id))


@jobs.command("wait")
@click.argument("id")
@click.option("--timeout", type=float, default=60.0, show_default=True, help="In seconds.")
@pass_session
def wait(session: Session, id: str, timeout: float) -> None:
    """Wait until a job has succeeded."""
    with session.memories() as memory:
        emit_job(session, watch(session, memory, memory.job(id), timeout=timeout))


@jobs.command("retry")
@click.argument("id")
@pass_session
def retry(session: Session, id: str) -> None:
    """Queue a failed, dead or cancelled job again."""
    with session.memories() as memory:
        emit_job(session, memory.retry_job(id))


@jobs.command("cancel")
@click.argument("id")
@reason_option
@pass_session
def cancel(session: Session, id: str, reason: str | None) -> None:
    """End a job that waits or runs."""
    with session.memories() as memory:
        emit_job(session, memory.cancel_job(id, reason=reason))


@click.group("schedules", cls=Listing)
@cube_option
@pass_session
@click.pass_context
def schedules(context: click.Context, session: Session, cube: str) -> None:
    """List the schedules of a cube, set one, or take one away."""
    if not alone(context):
        return
    with session.memories() as memory:
        found = memory.schedules(cube=cube)
    rows = [
        (s.name, s.cron, s.zone, s.kind, output.when(s.next_at), output.when(s.last_at), s.last_job)
        for s in found
    ]
    columns = ("name", "cron", "zone", "kind", "next", "last", "last job")
    output.emit(
        session, found, lambda: output.table(*columns, rows=rows), brief=[s.name for s in found]
    )


@schedules.command("set")
@click.argument("name")
@click.argument("cron")
@click.argument("kind")
@cube_option
@click.option("--zone", help="Of the tz database.  [default: the setting time_zone]")
@pass_session
def set_(session: Session, name: str, cron: str, kind: str, cube: str, zone: str | None) -> None:
    """Queue a job of KIND at the times of CRON, such as "30 3 * * *"."""
    with session.memories() as memory:
        made = memory.schedule(name, cron, kind, zone=zone, cube=cube)
    _emit_schedule(session, made)


@schedules.command("remove")
@click.argument("name")
@cube_option
@pass_session
def remove(session: Session, name: str, cube: str) -> None:
    """Take a schedule away."""
    with session.memories() as memory:
        gone = memory.unschedule(name, cube=cube)
    _emit_schedule(session, gone)


def _emit_schedule(session: Session, made: Schedule) -> None:
    facts = [
        ("name", made.name),
        ("cron", f"{made.cron} ({made.zone})"),
        ("kind", made.kind),
        ("next", output.when(made.next_at)),
    ]
    output.emit(session, made, lambda: output.facts(facts), brief=[made.name])


def watch(session: Session, memory: Memories, job: Job, *, timeout: float) -> Job:
    """Waits with a progress bar. JobFailed if the job is dead, WaitTimeout if it takes too long."""
    deadline = time.monotonic() + timeout
    with output.progress(session) as bar:
        task = bar.add_task(job.kind, total=100)
        while job.state not in _ENDED and time.monotonic() < deadline:
            bar.update(task, completed=int(job.progress * 100))
            time.sleep(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))
            job = memory.job(job.id)
    return memory.wait_for(job.id, timeout=max(0.0, deadline - time.monotonic()))


def emit_job(session: Session, job: Job) -> None:
    output.emit(session, job, lambda: output.facts(_facts(job)), brief=[job.state.value])


def _facts(job: Job) -> list[tuple[str, Any]]:
    return [
        ("id", job.id),
        ("kind", job.kind),
        ("state", job.state.value),
        ("progress", f"{job.progress:.0%}"),
        ("attempts", f"{job.attempts} of {job.max_attempts}"),
        ("error", job.error),
        ("payload", dict(job.payload)),
        ("cube", job.cube_id),
        ("due", output.when(job.run_at)),
        ("created", output.when(job.created_at)),
        ("started", output.when(job.started_at)),
        ("finished", output.when(job.finished_at)),
    ]
