"""`memos why` and `memos events`: what happened by itself, and why something is as it is."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from memos.cli import output
from memos.cli.graph_views import explanation_view
from memos.cli.options import command, cube_option, known_option
from memos.cli.session import Session, pass_session
from memos.types import Event, Explanation

if TYPE_CHECKING:
    from rich.console import RenderableType


@command("why")
@click.argument("id")
@cube_option
@known_option
@pass_session
def why(session: Session, id: str, cube: str, known_as_of: datetime | None) -> None:
    """Say why a memory, a fact, a job or an event is as it is."""
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


def event_row(event: Event) -> tuple[str, ...]:
    """The cells of `EVENT_COLUMNS`."""
    numbers = " ".join(f"{name}={value}" for name, value in event.numbers.items())
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


EVENT_COLUMNS = ("seq", "at", "kind", "subjects", "reason", "numbers", "by", "id")
