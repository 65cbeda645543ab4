"""`memos keep-open`, `merge`, `split`, `rulings` and `revoke`: what people decide over facts."""

from __future__ import annotations

import click

from memos.cli import output
from memos.cli.options import command, cube_option, reason_option
from memos.cli.session import Session, pass_session
from memos.types import Ruling


@command("keep-open")
@click.argument("fact_id")
@cube_option
@reason_option
@pass_session
def keep_open(session: Session, fact_id: str, cube: str, reason: str | None) -> None:
    """Undo the closing of a fact; `memos revoke` closes it again."""
    with session.memories() as memory:
        _emit(session, memory.keep_open(fact_id, cube=cube, reason=reason))


@command("merge")
@click.argument("source")
@click.argument("into")
@cube_option
@reason_option
@pass_session
def merge(session: Session, source: str, into: str, cube: str, reason: str | None) -> None:
    """Say that the entity SOURCE is INTO; `memos revoke` parts them again."""
    with session.memories() as memory:
        _emit(session, memory.merge_entities(source, into, cube=cube, reason=reason))


@command("split")
@click.argument("entity")
@cube_option
@click.option("--name", required=True, help="Of the new entity.")
@click.option("--type", help="Of the new entity; default: as the first's.")
@click.option("--fact", "facts", multiple=True, metavar="ID", help="Goes to it; repeatable.")
@click.option("--memory", "memories", multiple=True, metavar="ID", help="Means it; repeatable.")
@reason_option
@pass_session
def split(
    session: Session,
    entity: str,
    cube: str,
    name: str,
    type: str | None,
    facts: tuple[str, ...],
    memories: tuple[str, ...],
    reason: str | None,
) -> None:
    """Say that ENTITY is two, and which facts and memories are the new one's."""
    if not facts and not memories:
        raise click.UsageError("say with --fact or --memory what belongs to the new entity")
    with session.memories() as memory:
        ruling = memory.split_entity(
            entity,
            name=name,
            type=type,
            facts=facts,
            memories=memories,
            cube=cube,
            reason=reason,
        )
    _emit(session, ruling)


@command("rulings")
@cube_option
@pass_session
def rulings(session: Session, cube: str) -> None:
    """List what people ruled, oldest first."""
    with session.memories() as memory:
        found = memory.rulings(cube=cube)
    rows = [
        (
            ruling.id,
            ruling.kind.value,
            ruling.source_id,
            ruling.target_id,
            output.when(ruling.created_at),
            output.when(ruling.revoked_at),
            ruling.actor,
            ruling.reason,
        )
        for ruling in found
    ]
    output.emit(
        session,
        found,
        lambda: output.table(
            *("id", "kind", "of", "to", "ruled", "revoked", "by", "reason"), rows=rows
        ),
        brief=[ruling.id for ruling in found],
    )


@command("revoke")
@click.argument("ruling_id")
@cube_option
@pass_session
def revoke(session: Session, ruling_id: str, cube: str) -> None:
    """Undo a ruling; what was before is restored."""
    with session.memories() as memory:
        undone = memory.revoke(ruling_id, cube=cube)
    output.emit(session, undone, lambda: output.facts([("revoked", undone.id)]), brief=[undone.id])


def _emit(session: Session, ruling: Ruling) -> None:
    output.emit(
        session,
        ruling,
        lambda: output.facts([("ruling", ruling.id), ("kind", ruling.kind.value)]),
        brief=[ruling.id],
    )
