"""`memos update`, `forget` and `restore`."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

import click

from memos.cli import output
from memos.cli.adding import decoded
from memos.cli.options import KINDS, Moment, Pair, command, cube_option, reason_option
from memos.cli.session import Session, pass_session
from memos.types import UNSET, Kind

# By the option's name, the field's.
_CLEARABLE = {
    "place": "place",
    "at": "occurred_at",
    "speaker": "speaker",
    "expires-at": "expires_at",
    "meta": "metadata",
}


@command("update")
@click.argument("id")
@cube_option
@click.option("--content", help="The new text; - reads it from stdin.")
@click.option("--kind", type=KINDS)
@click.option("--speaker")
@click.option("--at", "occurred_at", type=Moment())
@click.option("--place")
@click.option("--meta", type=Pair(), multiple=True, help="Replaces all metadata; repeatable.")
@click.option("--priority", type=float, help="From 0 to 1.")
@click.option("--expires-at", type=Moment())
@click.option(
    "--clear", type=click.Choice(list(_CLEARABLE)), multiple=True, help="Empty this field."
)
@click.option("--if-version", type=int, help="Only if the memory is at this version.")
@reason_option
@pass_session
def update(
    session: Session,
    id: str,
    cube: str,
    content: str | None,
    kind: str | None,
    speaker: str | None,
    occurred_at: datetime | None,
    place: str | None,
    meta: tuple[tuple[str, Any], ...],
    priority: float | None,
    expires_at: datetime | None,
    clear: tuple[str, ...],
    if_version: int | None,
    reason: str | None,
) -> None:
    """Change fields of a memory; the former version stays in its history."""
    if content == "-":
        content = decoded(sys.stdin.buffer.read(), "stdin")
    given = {
        "content": content,
        "kind": Kind(kind) if kind else None,
        "speaker": speaker,
        "occurred_at": occurred_at,
        "place": place,
        "metadata": dict(meta) or None,
        "priority": priority,
        "expires_at": expires_at,
    }
    changes: dict[str, Any] = {name: UNSET if v is None else v for name, v in given.items()}
    for name in clear:
        field = {"at": "occurred_at", "expires-at": "expires_at", "meta": "metadata"}.get(
            name, name
        )
        if given[field] is not None:
            raise click.UsageError(f"--{name} and --clear {name} contradict each other")
        changes[field] = {} if field == "metadata" else None
    if all(value is UNSET for value in changes.values()):
        raise click.UsageError("nothing to change; give at least one field")
    with session.memories() as memory:
        changed = memory.update(id, cube=cube, if_version=if_version, reason=reason, **changes)
    output.emit(
        session,
        changed,
        lambda: output.facts([("updated", changed.id), ("version", changed.version)]),
        brief=[changed.id],
    )


@command("forget")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@cube_option
@click.option("--erase", is_flag=True, help="For good: no store keeps its text.")
@click.option("--yes", "-y", is_flag=True, help="Erase without asking.")
@click.option("--if-version", type=int, help="Only if the memory is at this version.")
@reason_option
@pass_session
def forget(
    session: Session,
    ids: tuple[str, ...],
    cube: str,
    erase: bool,
    yes: bool,
    if_version: int | None,
    reason: str | None,
) -> None:
    """Archive memories: `memos restore` brings them back, unless they are erased."""
    if erase:
        confirm(f"Erase {len(ids)} memories for good?", yes=yes)
    with session.memories() as memory:
        for id in ids:
            gone = memory.forget(id, cube=cube, erase=erase, if_version=if_version, reason=reason)
            output.emit(
                session,
                gone,
                lambda gone=gone: output.facts([(gone.state.value, gone.id)]),  # type: ignore[misc]
                brief=[gone.id],
            )


@command("restore")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@cube_option
@reason_option
@pass_session
def restore(session: Session, ids: tuple[str, ...], cube: str, reason: str | None) -> None:
    """Bring archived memories back."""
    with session.memories() as memory:
        for id in ids:
            back = memory.restore(id, cube=cube, reason=reason)
            output.emit(
                session,
                back,
                lambda back=back: output.facts([("restored", back.id)]),  # type: ignore[misc]
                brief=[back.id],
            )


def confirm(question: str, *, yes: bool) -> None:
    """Asks before something that can't be undone; where nobody can answer, --yes is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} This can't be undone; add --yes")
    click.confirm(question, abort=True, err=True)
