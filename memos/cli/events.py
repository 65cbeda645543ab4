"""`memos why`, `events` and `top`: what happened by itself, and how the queue stands."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from memos.cli import output
from memos.cli.graph_views import explanation_view
from memos.cli.options import command, cube_option, known_option, paging_options
from memos.cli.session import Session, pass_session
from memos.types import Event, Explanation, QueueReport

if TYPE_CHECKING:
    from rich.console import RenderableType

    from memos.cli.session import Memories

_LAST = 12


@command("why")
@click.argument("id")
@cube_option
@known_option
@pass_session
def why(session: Session, id: str, cube: str, known_as_of: datetime | None) -> None:
    """Say why a memory, a fact, a summary, a job or an event is as it is."""
    with session.memories() as memory:
        found = memory.explain(id, cube=cube, known_as_of=known_as_of)
    output.emit(session, found, lambda: _view(found), brief=found.text)


def _view(found: Explanation) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    head = Text(f"{found.what} {found.id}", style="bold")
    if found.fact is not None:
        return Group(head, explanation_view(found.fact), *_undo_lines(found.events))
    lines = (Text(output.clean(line)) for line in found.text)
    own = (found.event,) if found.event is not None else ()
    return Group(head, *lines, *_undo_lines((*own, *found.events)))


def _undo_lines(events: tuple[Event, ...]) -> list[RenderableType]:
    from rich.text import Text

    return [
        Text(f"memos undo {event.id}  # takes back {event.kind}", style="dim")
        for event in events
        if event.undo
    ]


@command("events")
@click.option("--cube", "-c", help="Events of this cube only.")
@click.option(
    "--kind", "kinds", multiple=True, help="Such as job.dead, or memory. for all; repeatable."
)
@click.option("--after", type=int, default=0, show_default=True, help="Only with a greater seq.")
@click.option("--follow", "-f", is_flag=True, help="Go on with new ones as they come.")
@click.option("--seconds", type=float, help="With --follow: end after so long.")
@paging_options
@pass_session
def events(
    session: Session,
    cube: str | None,
    kinds: tuple[str, ...],
    after: int,
    follow: bool,
    seconds: float | None,
    limit: int,
    cursor: str | None,
) -> None:
    """List events, oldest first, or follow them."""
    with session.memories() as memory:
        if follow:
            for event in memory.follow(cube=cube, kinds=kinds, after=after, seconds=seconds):
                _tell(session, event)
            return
        page = memory.events(cube=cube, kinds=kinds, after=after, cursor=cursor, limit=limit)
    output.emit(
        session,
        page,
        lambda: output.table(*_COLUMNS, rows=map(_row, page.items), fixed=("seq", "at", "id")),
        brief=[event.id for event in page.items],
    )
    if page.next_cursor:
        output.note(session, f"more: --cursor {page.next_cursor}")


def _tell(session: Session, event: Event) -> None:
    """One line, at once."""
    if session.json:
        output.emit_json(event)
    elif session.quiet:
        click.echo(event.id)
    else:
        click.echo(output.clean("  ".join(filter(None, _row(event)))))


def _row(event: Event) -> tuple[str, ...]:
    numbers = " ".join(f"{name}={_short(value)}" for name, value in event.numbers.items())
    return (
        str(event.seq),
        output.when(event.at),
        event.kind,
        " ".join(event.subjects),
        event.reason or "",
        numbers,
        event.actor or "",
        event.id,
    )


_COLUMNS = ("seq", "at", "kind", "subjects", "reason", "numbers", "by", "id")


def _short(value: object) -> str:
    """Lists by their length: a thousand ids help nobody here."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"[{len(value)}]" if isinstance(value, (list, tuple)) else str(value)


@command("top")
@click.option("--cube", "-c", help="Jobs of this cube only.")
@click.option("--every", type=float, default=1.0, show_default=True, help="Seconds between looks.")
@click.option("--once", is_flag=True, help="Look once and end.")
@pass_session
def top(session: Session, cube: str | None, every: float, once: bool) -> None:
    """Watch the queue: what waits, what runs, and what happened last."""
    with session.memories() as memory:
        if once or session.json or session.quiet:
            report, last = _look(memory, cube)
            kinds = [kind.kind for kind in report.kinds]
            output.emit(session, report, lambda: _dashboard(report, last), brief=kinds)
            return
        _live(memory, cube, every)


def _live(memory: Memories, cube: str | None, every: float) -> None:
    from rich.live import Live

    screen = output.console()
    with Live(console=screen, auto_refresh=False, screen=screen.is_terminal) as live:
        while True:
            live.update(_dashboard(*_look(memory, cube)), refresh=True)
            time.sleep(every)


def _look(memory: Memories, cube: str | None) -> tuple[QueueReport, tuple[Event, ...]]:
    report = memory.queue(cube=cube)
    after = max(0, report.last_seq - _LAST)
    return report, memory.events(cube=cube, after=after, limit=_LAST).items


def _dashboard(report: QueueReport, last: tuple[Event, ...]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    kinds = output.table(
        *("kind", "queued", "running", "failed", "dead", "oldest wait", "mean run", "runs"),
        rows=[
            (
                kind.kind,
                kind.queued,
                kind.running,
                kind.failed,
                kind.dead,
                f"{kind.oldest_wait:.1f} s",
                f"{kind.seconds * 1000:.0f} ms",
                kind.runs,
            )
            for kind in report.kinds
        ],
        fixed=("kind",),
    )
    running = output.table(
        *("running", "kind", "level", "progress", "attempt", "since"),
        rows=[
            (
                job.id,
                job.kind,
                job.level,
                f"{job.progress:.0%}",
                f"{job.attempts}/{job.max_attempts}",
                output.when(job.started_at),
            )
            for job in report.running
        ],
        fixed=("running",),
    )
    told = output.table(*_COLUMNS, rows=map(_row, last), fixed=("seq", "at"))
    return Group(Text(f"queue at {output.when(report.at)}", style="bold"), kinds, running, told)
