"""`memos adapter …` and `memos distill`: what the local model learns of memories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from memos.cli import output
from memos.cli.options import KINDS, Group, command, cube_option, paging_options
from memos.cli.session import Session, pass_session
from memos.types import Adapter, Kind


@click.group("adapter", cls=Group)
def adapter() -> None:
    """Teach the local model memories, and look after its adapters."""


_OPTIONS: list[Callable[[Any], Any]] = [
    click.argument("memories", nargs=-1),
    cube_option,
    click.option("--query", help="The memories that a search for this finds."),
    click.option("--kind", type=KINDS, help="All memories of this kind."),
    click.option("--name", default="default", show_default=True, help="To tell versions by."),
    click.option("--begin", help="Id of the adapter to go on from."),
    click.option("--limit", "-n", type=int, default=100, show_default=True, help="Most memories."),
    click.option("--diversity", type=float, default=0.0, help="How much the choice is spread."),
    click.option("--attach/--no-attach", default=True, help="Put it to work once it has passed."),
    click.option(
        "--when",
        type=click.Choice(["named", "always"]),
        default="named",
        show_default=True,
        help="At work where something that it knows of is named, or always.",
    ),
    click.option("--rank", type=int, help="Of the adapter."),
    click.option("--rate", type=float, help="Highest learning rate."),
    click.option("--passes", type=int, help="Over the examples, at most."),
    click.option("--seed", type=int, default=0, show_default=True),
    click.option("--wait", is_flag=True, help="Answer when it is trained and judged."),
    pass_session,
]


def _distill(
    session: Session, /, memories: tuple[str, ...], kind: str | None, **wanted: Any
) -> None:
    """Teach the local model MEMORIES, or those that the policy chooses."""
    with session.memories() as memory:
        made = memory.distill(memories=memories, kind=Kind(kind) if kind else None, **wanted)
    _emit(session, made)
    for one in made.chosen[:10]:
        parts = ", ".join(f"{name} {value:.2f}" for name, value in one.parts.items())
        output.note(session, f"{one.memory_id}  {one.score:.3f}  {one.refused or parts}")


def _with_options(act: Any) -> Any:
    for option in reversed(_OPTIONS):
        act = option(act)
    return act


adapter.command("distill")(_with_options(_distill))
distill = command("distill")(_with_options(_distill))


@adapter.command("merge")
@click.argument("adapters", nargs=-1, required=True)
@cube_option
@click.option("--share", "shares", type=float, multiple=True, help="Weight, one for each adapter.")
@click.option(
    "--method",
    type=click.Choice(["linear", "ties", "dare"]),
    default="linear",
    show_default=True,
    help="Their sum, or what they agree on, or a draw.",
)
@click.option("--rank", type=int, help="Of the outcome.")
@click.option("--name", default="default", show_default=True, help="To tell versions by.")
@click.option("--attach/--no-attach", default=True, help="Put it to work once it has passed.")
@click.option(
    "--when",
    type=click.Choice(["named", "always"]),
    default="named",
    show_default=True,
    help="At work where something that it knows of is named, or always.",
)
@click.option("--wait", is_flag=True, help="Answer when it is made and judged.")
@pass_session
def merge(session: Session, /, **wanted: Any) -> None:
    """Make ADAPTERS into one; they stay."""
    with session.memories() as memory:
        _emit(session, memory.merge_adapters(**wanted))


@adapter.command("list")
@cube_option
@paging_options
@pass_session
def list_(session: Session, /, **wanted: Any) -> None:
    """List the adapters of a cube."""
    with session.memories() as memory:
        page = memory.adapters(**wanted)
    rows = [
        (
            found.name,
            found.version,
            found.state.value,
            "yes" if found.attached else "",
            len(found.sources),
            "" if found.report is None else f"{found.report.recall:.0%}",
            found.bytes,
            found.reason,
            found.id,
        )
        for found in page.items
    ]
    columns = (
        "name",
        "version",
        "state",
        "attached",
        "memories",
        "recall",
        "bytes",
        "reason",
        "id",
    )
    output.emit(
        session,
        page,
        lambda: output.table(*columns, rows=rows),
        brief=[found.id for found in page.items],
    )
    if page.next_cursor:
        output.note(session, f"more: --cursor {page.next_cursor}")


@adapter.command("get")
@click.argument("id")
@cube_option
@pass_session
def get(session: Session, id: str, cube: str) -> None:
    """Show an adapter, its lineage and its report."""
    with session.memories() as memory:
        _emit(session, memory.adapter(id, cube=cube))


def _step(name: str, help: str, verb: str | None = None) -> None:
    @adapter.command(name, help=help)
    @click.argument("id")
    @cube_option
    @pass_session
    def step(session: Session, id: str, cube: str) -> None:
        with session.memories() as memory:
            act: Callable[..., Adapter] = getattr(memory, verb or name)
            _emit(session, act(id, cube=cube))


_step("evaluate", "Judge it again: what it recalls, and what it leaves alone.")
_step("attach", "Give all answers of the cube with it.")
_step("detach", "Answer without it again.")
_step("rollback", "Attach the newest usable version before it.", "rollback_adapter")


@adapter.command("drop")
@click.argument("ids", nargs=-1, required=True)
@cube_option
@pass_session
def drop(session: Session, ids: tuple[str, ...], cube: str) -> None:
    """Delete adapters with their files; the memories stay."""
    with session.memories() as memory:
        for id in ids:
            memory.drop_adapter(id, cube=cube)
    output.note(session, f"dropped {len(ids)}")


def _emit(session: Session, found: Adapter) -> None:
    report = found.report
    pairs = [
        ("id", found.id),
        ("name", found.name),
        ("version", found.version),
        ("state", found.state.value),
        ("reason", found.reason),
        ("attached", found.when if found.attached else None),
        ("goes on from", found.parent),
        ("merged from", ", ".join(found.merged) or None),
        ("memories", len(found.sources)),
        ("model", found.model or None),
        ("rank", found.rank),
        ("parameters", found.parameters or None),
        ("bytes", found.bytes or None),
        ("seconds", found.seconds or None),
        ("recall", None if report is None else f"{report.recall:.1%}"),
        ("recall without it", None if report is None else f"{report.base_recall:.1%}"),
        (
            "recall in the words of the training",
            None if report is None else f"{report.trained:.1%}",
        ),
        ("perplexity", None if report is None else f"{report.perplexity:.2f}"),
        ("perplexity without it", None if report is None else f"{report.base_perplexity:.2f}"),
        ("other answers unchanged", None if report is None else f"{report.unchanged:.1%}"),
        ("recall as it is used", None if report is None else f"{report.in_use.recall:.1%}"),
        ("perplexity as it is used", None if report is None else f"{report.in_use.perplexity:.2f}"),
        (
            "other answers unchanged as it is used",
            None if report is None else f"{report.in_use.unchanged:.1%}",
        ),
        ("hits", found.hits),
        ("last used", output.when(found.last_used_at)),
        ("created", output.when(found.created_at)),
        ("job", found.job_id),
    ]
    output.emit(session, found, lambda: output.facts(pairs), brief=[found.id])
