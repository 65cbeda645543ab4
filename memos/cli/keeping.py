"""`memos consolidate`, `sweep`, `policy`, `lineage`, `strength`, `erase`, `audit`, `context` and
`segments`: how memories are kept."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from memos.cli import failures, output
from memos.cli.changing import confirm
from memos.cli.jobs import emit_job, watch
from memos.cli.options import (
    JsonObject,
    command,
    cube_option,
    reason_option,
    scope_options,
    view_options,
)
from memos.cli.session import Session, pass_session
from memos.types import (
    Audit,
    AuditRate,
    ErasureReceipt,
    KeepingPlan,
    PlannedAction,
    Policy,
    Strength,
)
from memos.types import Work as WorkKind

if TYPE_CHECKING:
    from rich.console import RenderableType

_TEXT = 60


@command("consolidate")
@cube_option
@click.option("--dry-run", is_flag=True, help="Only say what would be done, and why.")
@click.option("--limit", "-n", type=int, default=50, show_default=True, help="Actions shown.")
@click.option("--no-wait", is_flag=True, help="Only queue the job.")
@click.option("--timeout", type=float, default=3600.0, show_default=True, help="In seconds.")
@pass_session
def consolidate(session: Session, /, cube: str, dry_run: bool, limit: int, **how: Any) -> None:
    """Merge what says the same, retire what no longer holds, make memories of what recurs and of
    hot segments, summarise sessions.

    Each action is an event: `memos why ID` tells it, `memos undo EVENT` takes it back.
    """
    _run(session, WorkKind.CONSOLIDATE, cube, dry_run, limit, **how)


@command("sweep")
@cube_option
@click.option("--dry-run", is_flag=True, help="Only say what would be done, and why.")
@click.option("--limit", "-n", type=int, default=50, show_default=True, help="Actions shown.")
@click.option("--no-wait", is_flag=True, help="Only queue the job.")
@click.option("--timeout", type=float, default=3600.0, show_default=True, help="In seconds.")
@pass_session
def sweep(session: Session, /, cube: str, dry_run: bool, limit: int, **how: Any) -> None:
    """Archive what has faded and what is over the budget, by the cube's policy."""
    _run(session, WorkKind.SWEEP, cube, dry_run, limit, **how)


def _run(
    session: Session,
    work: WorkKind,
    cube: str,
    dry_run: bool,
    limit: int,
    *,
    no_wait: bool,
    timeout: float,
) -> None:
    with session.memories() as memory:
        if dry_run:
            _emit_plan(session, memory.plan(work, cube=cube, limit=limit))
            return
        verb = memory.sweep if work is WorkKind.SWEEP else memory.consolidate
        job = verb(cube=cube)
        if not no_wait:
            job = watch(session, memory, job, timeout=timeout)
        emit_job(session, job)


def _emit_plan(session: Session, plan: KeepingPlan) -> None:
    rows = [_plan_row(item) for item in plan.items]
    output.emit(
        session,
        plan,
        lambda: output.table("action", "kept or made", "of", "why", rows=rows, fixed=("action",)),
        brief=[f"{kind} {count}" for kind, count in sorted(plan.actions.items())],
    )
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(plan.actions.items()))
    output.note(
        session,
        f"{plan.memories} memories: {counts or 'nothing to do'}; live bytes {plan.bytes_before} → "
        f"{plan.bytes_after}. Nothing was changed",
    )


def _plan_row(item: PlannedAction) -> tuple[str, ...]:
    numbers = ", ".join(f"{name} {value:g}" for name, value in item.numbers.items())
    of = " | ".join(_short(text) for text in item.of)
    return item.kind.value, _short(item.text), of, f"{item.reason} ({numbers})"


def _short(text: str) -> str:
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"


@command("policy")
@cube_option
@click.option("--set", "given", type=JsonObject(), help="Replace it; what is left out is default.")
@pass_session
def policy(session: Session, cube: str, given: Mapping[str, Any] | None) -> None:
    """Show how a cube keeps its memories, or set it as a JSON object."""
    from memos.wire import from_builtins

    with session.memories() as memory:
        if given is None:
            found = memory.policy(cube=cube)
        else:
            found = memory.set_policy(from_builtins(dict(given), Policy), cube=cube)
    output.emit(session, found, lambda: output.facts(_policy_facts(found)))


def _policy_facts(found: Policy) -> list[tuple[str, Any]]:
    days = ", ".join(
        f"{kind.value} {'never fades' if value is None else f'{value:g}'}"
        for kind, value in found.half_life_days.items()
    )
    rows: list[tuple[str, Any]] = [("half_life_days", days)]
    for name in Policy.__dataclass_fields__:
        if name != "half_life_days":
            value = getattr(found, name)
            rows.append((name, ", ".join(value) if isinstance(value, tuple) else value))
    return rows


@command("lineage")
@click.argument("id")
@cube_option
@pass_session
def lineage(session: Session, id: str, cube: str) -> None:
    """Show what a memory comes from or stands for, and what comes from it."""
    with session.memories() as memory:
        found = memory.lineage(id, cube=cube)
    rows = [
        (line.derived_id, line.relation.value, line.source_id, line.source_version)
        for line in found
    ]
    output.emit(
        session,
        found,
        lambda: output.table(
            "memory", "relation", "of", "version", rows=rows, fixed=("memory", "of")
        ),
        brief=[line.source_id if line.derived_id == id else line.derived_id for line in found],
    )


@command("strength")
@click.argument("id")
@cube_option
@click.option("--pin/--unpin", default=None, help="Keep it from going by itself, or no longer.")
@pass_session
def strength(session: Session, id: str, cube: str, pin: bool | None) -> None:
    """Show how strongly a memory is held now."""
    with session.memories() as memory:
        if pin is None:
            found = memory.strength(id, cube=cube)
        else:
            found = (memory.pin_memory if pin else memory.unpin_memory)(id, cube=cube)
    output.emit(session, found, lambda: _strength_view(found), brief=[f"{found.strength:.4f}"])


def _strength_view(found: Strength) -> RenderableType:
    life = "does not decay" if found.half_life_days is None else f"{found.half_life_days:g} days"
    return output.facts(
        [
            ("strength", f"{found.strength:.4f}"),
            ("importance", f"{found.importance:.4f}"),
            ("retention", f"{found.retention:.4f}"),
            ("half-life", life),
            ("uses", found.uses),
            ("last used", output.when(found.last_used_at)),
            ("pinned", "yes" if found.pinned else "no"),
        ]
    )


@command("erase")
@click.argument("id")
@cube_option
@click.option("--yes", "-y", is_flag=True, help="Erase without asking.")
@click.option("--if-version", type=int, help="Only if the memory is at this version.")
@click.option("--check", is_flag=True, help="Check the receipt (JSON on stdin) of ID instead.")
@reason_option
@pass_session
def erase(
    session: Session,
    id: str,
    cube: str,
    yes: bool,
    if_version: int | None,
    check: bool,
    reason: str | None,
) -> None:
    """Erase a memory from every store, and print the signed receipt."""
    if check:
        _check(session, cube)
        return
    confirm(f"Erase memory {id} for good?", yes=yes)
    with session.memories() as memory:
        receipt = memory.erase(id, cube=cube, if_version=if_version, reason=reason)
    output.emit(session, receipt, lambda: _receipt_view(receipt), brief=receipt.memory_ids)


def _check(session: Session, cube: str) -> None:
    from memos.wire import from_json

    receipt = from_json(sys.stdin.buffer.read(), ErasureReceipt)
    with session.memories() as memory:
        found = memory.check_receipt(receipt, cube=cube)
    said = "valid" if found.valid else f"not valid: {found.reason}"
    output.emit(session, found, lambda: output.facts([("receipt", said)]), brief=[said])
    if not found.valid:
        click.get_current_context().exit(failures.FAILURE)


def _receipt_view(receipt: ErasureReceipt) -> RenderableType:
    from rich.console import Group

    rows = [
        (one.store, one.removed, "done" if one.done else f"by job {one.job_id or 'vector_sync'}")
        for one in receipt.stores
    ]
    head = [
        ("receipt", receipt.id),
        ("erased", ", ".join(receipt.memory_ids)),
        ("at", output.when(receipt.erased_at)),
        ("key", receipt.key_id),
        ("signature", receipt.signature),
    ]
    return Group(output.facts(head), output.table("store", "rows", "state", rows=rows))


@command("audit")
@cube_option
@pass_session
def audit(session: Session, cube: str) -> None:
    """Show how much of a cube is duplicate, stale, looped or junk."""
    with session.memories() as memory:
        found = memory.audit(cube=cube)
    output.emit(session, found, lambda: _audit_view(found), brief=_audit_brief(found))


def _rates(found: Audit) -> list[tuple[str, AuditRate]]:
    return [(name, getattr(found, name)) for name in ("duplicate", "stale", "loop", "junk")]


def _audit_view(found: Audit) -> RenderableType:
    from rich.console import Group

    rows = [
        (name, rate.count, f"{rate.share:.2%}", " ".join(rate.examples))
        for name, rate in _rates(found)
    ]
    head = [
        ("memories", found.memories),
        ("bytes", found.bytes),
        ("quarantined", found.quarantined),
    ]
    return Group(output.facts(head), output.table("what", "count", "share", "such as", rows=rows))


def _audit_brief(found: Audit) -> list[str]:
    return [f"{name} {rate.share:.4f}" for name, rate in _rates(found)]


@command("context")
@click.argument("query", required=False)
@cube_option
@scope_options
@click.option("--token-budget", type=int, default=2000, show_default=True)
@view_options
@pass_session
def context(session: Session, /, query: str | None, **wanted: Any) -> None:
    """Print what to put before an agent that is asked QUERY: what is known, within a budget."""
    from rich.text import Text

    with session.memories() as memory:
        found = memory.context(query, **wanted)
    output.emit(
        session, found, lambda: Text(output.clean(found.text)), brief=found.text.splitlines()
    )
    output.note(session, f"{found.tokens} of {found.token_budget} tokens")


@command("segments")
@click.argument("session_id")
@cube_option
@click.option("--user", "user_id", help="Id of the user.")
@view_options
@pass_session
def segments(
    session: Session,
    session_id: str,
    cube: str,
    user_id: str | None,
    as_of: datetime | None,
    known_as_of: datetime | None,
) -> None:
    """Show a session cut by topics, with the heat of each part."""
    with session.memories() as memory:
        found = memory.segments(
            session_id, user_id=user_id, cube=cube, as_of=as_of, known_as_of=known_as_of
        )
    rows = [
        (n, len(one.memories), one.visits, f"{one.heat:.2f}", _short(one.memories[0].content))
        for n, one in enumerate(found, 1)
    ]
    output.emit(
        session,
        found,
        lambda: output.table("segment", "turns", "visits", "heat", "begins", rows=rows),
        brief=[one.memories[0].id for one in found],
    )
