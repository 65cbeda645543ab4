"""`memos activation …`: what the local model has read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import click

from memos.cli import output
from memos.cli.options import KINDS, Group, cube_option, paging_options
from memos.cli.session import Session, pass_session
from memos.types import JOIN_RATIOS, Activation, JoinReport, Kind, Recomputed


@click.group("activation", cls=Group)
def activation() -> None:
    """Compile memories for the local model, and look after what was kept."""


@activation.command("compile")
@click.argument("memories", nargs=-1)
@cube_option
@click.option("--query", help="The memories that a search for this finds.")
@click.option("--kind", type=KINDS, help="All memories of this kind.")
@click.option("--text", help="A text of your own, after the memories.")
@click.option("--system", help="The system prompt, before them.")
@click.option("--name", default="", help="To tell it by.")
@click.option("--limit", "-n", type=int, default=100, show_default=True, help="Most memories.")
@click.option("--token-budget", type=int, help="Most tokens of memories.")
@click.option("--codec", help="raw, lossless, int8, k8v4, int4 or int2.")
@click.option("--policy", help="Leave out a share of the states, such as keydiff:0.5.")
@click.option("--guide", help="A prompt that tells the policy what will be asked.")
@click.option("--pin", "pinned", is_flag=True, help="Never evict it for others.")
@click.option("--no-wait", is_flag=True, help="Leave it to a job.")
@pass_session
def compile(
    session: Session,
    /,
    memories: tuple[str, ...],
    kind: str | None,
    no_wait: bool,
    **wanted: Any,
) -> None:
    """Have the model read MEMORIES once, and keep what it made of them."""
    with session.memories() as memory:
        made = memory.compile(
            memories=memories, kind=Kind(kind) if kind else None, wait=not no_wait, **wanted
        )
    _emit(session, made)
    if made.left_out:
        output.note(session, f"no room for {len(made.left_out)} memories")


@activation.command("list")
@cube_option
@paging_options
@pass_session
def list_(session: Session, /, **wanted: Any) -> None:
    """List the activation memories of a cube."""
    with session.memories() as memory:
        page = memory.activations(**wanted)
    rows = [
        (
            found.name,
            found.state.value,
            found.tokens,
            found.bytes,
            found.codec,
            found.hits,
            "yes" if found.pinned else "",
            found.reason,
            found.id,
        )
        for found in page.items
    ]
    columns = ("name", "state", "tokens", "bytes", "codec", "hits", "pinned", "reason", "id")
    output.emit(
        session,
        page,
        lambda: output.table(*columns, rows=rows),
        brief=[found.id for found in page.items],
    )
    if page.next_cursor:
        output.note(session, f"more: --cursor {page.next_cursor}")


@activation.command("get")
@click.argument("id")
@cube_option
@pass_session
def get(session: Session, id: str, cube: str) -> None:
    """Show an activation memory and its text."""
    with session.memories() as memory:
        _emit(session, memory.activation(id, cube=cube))


def _step(name: str, help: str) -> None:
    @activation.command(name, help=help)
    @click.argument("id")
    @cube_option
    @pass_session
    def step(session: Session, id: str, cube: str) -> None:
        with session.memories() as memory:
            act: Callable[..., Activation] = getattr(memory, name)
            _emit(session, act(id, cube=cube))


_step("warm", "Bring its states near before they are needed.")
_step("pin", "Never evict its states for others.")
_step("unpin", "Let its states be evicted again.")


@activation.command("drop")
@click.argument("ids", nargs=-1, required=True)
@cube_option
@pass_session
def drop(session: Session, ids: tuple[str, ...], cube: str) -> None:
    """Delete activation memories with their states; the memories stay."""
    with session.memories() as memory:
        for id in ids:
            memory.drop(id, cube=cube)
    output.note(session, f"dropped {len(ids)}")


@activation.command("stats")
@cube_option
@pass_session
def stats(session: Session, cube: str) -> None:
    """Show how many there are, how large, and how often used."""
    with session.memories() as memory:
        found = memory.activation_stats(cube=cube)
    states = ", ".join(f"{count} {state}" for state, count in sorted(found.by_state.items()))
    pairs = [
        ("activations", found.activations),
        ("states", states),
        ("pinned", found.pinned),
        ("tokens", found.tokens),
        ("bytes", found.bytes),
        ("hits", found.hits),
    ]
    output.emit(
        session,
        found,
        lambda: output.facts(pairs),
        brief=[f"{name}={value}" for name, value in pairs],
    )


@activation.command("measure")
@click.argument("activations", nargs=-1, required=True)
@cube_option
@click.option("--ask", "questions", multiple=True, required=True, help="A question; repeatable.")
@click.option("--ratio", "ratios", multiple=True, type=float, help="Share of tokens run again.")
@click.option("--selection", type=click.Choice(get_args(Recomputed)), default="deviation")
@click.option("--adapter", help="Id of the adapter; none: without one.")
@pass_session
def measure(
    session: Session,
    /,
    activations: tuple[str, ...],
    questions: tuple[str, ...],
    ratios: tuple[float, ...],
    **wanted: Any,
) -> None:
    """Measure how near answers from ACTIVATIONS joined are to those from all of them read in full.

    It decides whether `memos generate --join` uses their states in this cube.
    """
    with session.memories() as memory:
        found = memory.measure_joining(
            questions, activations=activations, ratios=ratios or JOIN_RATIOS, **wanted
        )
    _emit_report(session, found)


@activation.command("joining")
@cube_option
@click.option("--adapter", help="Id of the adapter; none: without one.")
@pass_session
def joining(session: Session, cube: str, adapter: str | None) -> None:
    """Show what was measured of joining in a cube."""
    with session.memories() as memory:
        _emit_report(session, memory.joining(cube=cube, adapter=adapter))


def _emit_report(session: Session, found: JoinReport) -> None:
    rows = [
        (
            f"{point.ratio:g}",
            f"{point.top1:.3f}",
            f"{point.kl:.4f}",
            "used" if point.ratio == found.ratio else "",
        )
        for point in found.curve
    ]
    output.emit(
        session,
        found,
        lambda: output.table("computed again", "same token", "KL", "", rows=rows),
        brief=["" if found.ratio is None else f"{found.ratio:g}"],
    )
    if found.ratio is None:
        output.note(session, f"no share reaches {found.threshold}: all is read in full")


def _emit(session: Session, found: Activation) -> None:
    pairs = [
        ("id", found.id),
        ("name", found.name),
        ("state", found.state.value),
        ("reason", found.reason),
        ("memories", len(found.sources)),
        ("model", found.model),
        ("tokens", found.tokens),
        ("bytes", found.bytes),
        ("codec", found.codec),
        ("policy", found.policy),
        ("guide", found.guide),
        ("pinned", "yes" if found.pinned else None),
        ("hits", found.hits),
        ("last used", output.when(found.last_used_at)),
        ("created", output.when(found.created_at)),
        ("job", found.job_id),
        ("text", found.text),
    ]
    output.emit(session, found, lambda: output.facts(pairs), brief=[found.id])
