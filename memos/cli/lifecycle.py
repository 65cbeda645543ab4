"""`memos archive`, `freeze`, `thaw`, `expire`, `rollback`, `undo` and `lifecycle`."""

from __future__ import annotations

import click

from memos.cli import output
from memos.cli.options import KINDS, Listing, alone, command, cube_option, reason_option
from memos.cli.session import Session, pass_session
from memos.types import Kind, Memory


def _step(name: str, help: str) -> click.Command:
    """A command that takes one step with each of some memories."""

    @command(name, help=help)
    @click.argument("ids", nargs=-1, required=True, metavar="ID...")
    @cube_option
    @click.option("--if-version", type=int, help="Only if the memory is at this version.")
    @reason_option
    @pass_session
    def run(
        session: Session,
        ids: tuple[str, ...],
        cube: str,
        if_version: int | None,
        reason: str | None,
    ) -> None:
        with session.memories() as memory:
            for id in ids:
                done = getattr(memory, name)(id, cube=cube, if_version=if_version, reason=reason)
                _emit(session, done)

    return run


archive = _step("archive", "Take memories out of search; `memos restore` brings them back.")
freeze = _step("freeze", "Keep memories as they are: found, but never changed, merged or expired.")
thaw = _step("thaw", "Undo `memos freeze`.")
expire = _step("expire", "Say that the time of memories is over.")


@command("rollback")
@click.argument("id")
@click.argument("version", type=int)
@cube_option
@click.option("--if-version", type=int, help="Only if the memory is at this version.")
@reason_option
@pass_session
def rollback(
    session: Session,
    id: str,
    version: int,
    cube: str,
    if_version: int | None,
    reason: str | None,
) -> None:
    """Make a new version of a memory that is what VERSION was."""
    with session.memories() as memory:
        done = memory.rollback(id, version, cube=cube, if_version=if_version, reason=reason)
    _emit(session, done)


@command("undo")
@click.argument("event_id")
@cube_option
@reason_option
@pass_session
def undo(session: Session, event_id: str, cube: str, reason: str | None) -> None:
    """Take back what an event tells of; `memos why` shows which can be."""
    with session.memories() as memory:
        done = memory.undo(event_id, cube=cube, reason=reason)
    rows = [(one.id, one.state.value, one.version) for one in done]
    output.emit(
        session,
        done,
        lambda: output.table("id", "state", "version", rows=rows),
        brief=[one.id for one in done],
    )


@click.group("lifecycle", cls=Listing)
@cube_option
@pass_session
@click.pass_context
def lifecycle(context: click.Context, session: Session, cube: str) -> None:
    """Show the rules by which memories are archived, expire and are erased, or set one."""
    if not alone(context):
        return
    with session.memories() as memory:
        found = memory.lifecycle_rules(cube=cube)
    rows = [
        (r.kind.value, *map(_days, (r.archive_after, r.expire_after, r.erase_after))) for r in found
    ]
    output.emit(
        session,
        found,
        lambda: output.table("kind", "archive after", "expire after", "erase after", rows=rows),
        brief=[rule.kind.value for rule in found],
    )


@lifecycle.command("set")
@click.argument("kind", type=KINDS)
@cube_option
@click.option("--archive-after", type=float, metavar="DAYS")
@click.option("--expire-after", type=float, metavar="DAYS")
@click.option("--erase-after", type=float, metavar="DAYS")
@pass_session
def set_(session: Session, /, kind: str, cube: str, **spans: float | None) -> None:
    """Set the rule for memories of KIND; without any span there is none."""
    with session.memories() as memory:
        rule = memory.set_lifecycle_rule(Kind(kind), cube=cube, **spans)
    facts = [
        ("kind", rule.kind.value),
        ("archive after", _days(rule.archive_after)),
        ("expire after", _days(rule.expire_after)),
        ("erase after", _days(rule.erase_after)),
    ]
    output.emit(session, rule, lambda: output.facts(facts), brief=[rule.kind.value])


def _days(days: float | None) -> str:
    return "" if days is None else f"{days:g} days"


def _emit(session: Session, memory: Memory) -> None:
    facts = [(memory.state.value, memory.id), ("version", memory.version)]
    output.emit(session, memory, lambda: output.facts(facts), brief=[memory.id])
