"""`memos link`, `links` and `unlink`."""

from __future__ import annotations

from datetime import datetime

import click

from memos.cli import output
from memos.cli.options import command, cube_option, known_option, reason_option
from memos.cli.session import Session, pass_session


@command("link")
@click.argument("source_id")
@click.argument("target_id")
@cube_option
@click.option("--relation", default="related", show_default=True)
@reason_option
@pass_session
def link(
    session: Session, source_id: str, target_id: str, cube: str, relation: str, reason: str | None
) -> None:
    """Connect memory SOURCE_ID to memory TARGET_ID."""
    with session.memories() as memory:
        made = memory.link(source_id, target_id, cube=cube, relation=relation, reason=reason)
    output.emit(session, made, lambda: output.facts([("linked", made.id)]), brief=[made.id])


@command("links")
@click.argument("id")
@cube_option
@known_option
@pass_session
def links(session: Session, id: str, cube: str, known_as_of: datetime | None) -> None:
    """List the links of a memory in both directions."""
    with session.memories() as memory:
        found = memory.links(id, cube=cube, known_as_of=known_as_of)
    rows = [(link.id, link.source_id, link.relation, link.target_id, link.reason) for link in found]
    output.emit(
        session,
        found,
        lambda: output.table(
            "id", "source", "relation", "target", "reason", rows=rows, fixed=("id",)
        ),
        brief=[link.id for link in found],
    )


@command("unlink")
@click.argument("link_id")
@cube_option
@pass_session
def unlink(session: Session, link_id: str, cube: str) -> None:
    """Remove a link."""
    with session.memories() as memory:
        memory.unlink(link_id, cube=cube)
    output.note(session, f"removed {link_id}")
