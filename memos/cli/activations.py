"""`memos activation …` and `memos generate`: what the local model has read, and its answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from memos.cli import output
from memos.cli.options import KINDS, Group, command, cube_option, paging_options
from memos.cli.session import Session, pass_session
from memos.types import Activation, Kind


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


@command("generate")
@click.argument("prompt")
@cube_option
@click.option("--activation", "-a", help="Id of the activation memory to begin at.")
@click.option("--refresh", is_flag=True, help="Compile it anew if it is stale.")
@click.option("--adapter", help="Id of the adapter to answer with; none: without one.")
@click.option("--max-new-tokens", type=int, default=256, show_default=True)
@click.option("--temperature", type=float, default=0.0, show_default=True)
@click.option("--top-p", type=float, default=1.0, show_default=True)
@click.option("--top-k", type=int, default=0, help="0: of all tokens.")
@click.option("--seed", type=int, help="The same seed gives the same answer.")
@click.option("--stop", multiple=True, help="Text before which the answer ends; can be repeated.")
@pass_session
def generate(session: Session, /, prompt: str, **wanted: Any) -> None:
    """Ask the local model; the answer is printed as it comes. `-` reads PROMPT from stdin."""
    asked = sys.stdin.read() if prompt == "-" else prompt
    with session.memories() as memory:
        if session.json:
            output.emit_json(memory.generate(asked, **wanted))
            return
        for piece in memory.generate_stream(asked, **wanted):
            click.echo(output.clean(piece.text), nl=False)
            sys.stdout.flush()
            done = piece.done
    click.echo()
    if done is not None:
        output.note(
            session,
            f"{done.reused_tokens} of {done.prompt_tokens} prompt tokens {done.states}, first "
            f"token after {done.ttft_s * 1000:.0f} ms, {done.new_tokens} tokens in "
            f"{done.total_s:.1f} s",
        )


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
        ("pinned", "yes" if found.pinned else None),
        ("hits", found.hits),
        ("last used", output.when(found.last_used_at)),
        ("created", output.when(found.created_at)),
        ("job", found.job_id),
        ("text", found.text),
    ]
    output.emit(session, found, lambda: output.facts(pairs), brief=[found.id])
