"""`memos note`, `summaries` and `summarise`: what memories are about."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from memos.cli import output
from memos.cli.jobs import emit_job, watch
from memos.cli.options import command, cube_option, known_option, paging_options, reason_option
from memos.cli.session import Session, pass_session
from memos.types import Note, SummaryKind


@command("note")
@click.argument("memory_id")
@cube_option
@known_option
@click.option("--history", is_flag=True, help="All revisions, oldest first.")
@click.option("--undo", is_flag=True, help="Make the former note the present one again.")
@reason_option
@pass_session
def note(
    session: Session,
    memory_id: str,
    cube: str,
    known_as_of: datetime | None,
    history: bool,
    undo: bool,
    reason: str | None,
) -> None:
    """Show what a memory is about: keywords, tags and context."""
    if history + undo + (known_as_of is not None) > 1:
        raise click.UsageError("give one of --history, --undo and --known-as-of")
    with session.memories() as memory:
        if history:
            _emit_history(session, memory.note_history(memory_id, cube=cube))
        elif undo:
            _emit(session, memory.undo_note(memory_id, cube=cube, reason=reason))
        else:
            _emit(session, memory.note(memory_id, cube=cube, known_as_of=known_as_of))


def _emit(session: Session, note: Note) -> None:
    output.emit(session, note, lambda: output.facts(_facts(note)), brief=[note.context])


def _emit_history(session: Session, notes: tuple[Note, ...]) -> None:
    rows = [
        (
            note.revision,
            output.when(note.created_at),
            note.cause,
            ", ".join(note.keywords),
            ", ".join(note.tags),
            note.context,
        )
        for note in notes
    ]
    output.emit(
        session,
        notes,
        lambda: output.table(
            *("revision", "when", "because of", "keywords", "tags", "context"), rows=rows
        ),
        brief=[f"{row[0]}\t{row[1]}\t{row[5]}" for row in rows],
    )


def _facts(note: Note) -> list[tuple[str, Any]]:
    return [
        ("memory", note.memory_id),
        ("context", note.context),
        ("keywords", ", ".join(note.keywords)),
        ("tags", ", ".join(note.tags)),
        ("revision", note.revision),
        ("made by", note.method),
        ("because of", note.cause),
        ("created", output.when(note.created_at)),
    ]


@command("summaries")
@cube_option
@click.option("--kind", type=click.Choice([kind.value for kind in SummaryKind]))
@known_option
@paging_options
@pass_session
def summaries(session: Session, /, kind: str | None, **wanted: Any) -> None:
    """List the summaries of sessions, of their segments, and of communities of entities."""
    with session.memories() as memory:
        page = memory.summaries(kind=SummaryKind(kind) if kind else None, **wanted)
    rows = [
        (found.kind.value, found.key, len(found.memory_ids), found.text, found.id)
        for found in page.items
    ]
    output.emit(
        session,
        page,
        lambda: output.table("kind", "of", "memories", "text", "id", rows=rows),
        brief=[found.text for found in page.items],
    )
    if page.next_cursor:
        output.note(session, f"more: --cursor {page.next_cursor}")


@command("summarise")
@cube_option
@click.option("--no-wait", is_flag=True, help="Only queue the job.")
@click.option("--timeout", type=float, default=3600.0, show_default=True, help="In seconds.")
@pass_session
def summarise(session: Session, cube: str, no_wait: bool, timeout: float) -> None:
    """Summarise sessions and communities anew."""
    with session.memories() as memory:
        job = memory.summarise(cube=cube)
        if not no_wait:
            job = watch(session, memory, job, timeout=timeout)
        emit_job(session, job)
