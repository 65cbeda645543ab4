"""`memos generate` and `memos generate-batch`: answers of the local model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from memos.cli import output
from memos.cli.options import command, cube_option
from memos.cli.session import Session, pass_session
from memos.types import Generated

F = TypeVar("F", bound=Callable[..., Any])


def answering_options(function: F) -> F:
    """How an answer is chosen, and where it ends."""
    for option in reversed(_ANSWERING):
        function = option(function)
    return function


_ANSWERING = [
    click.option("--refresh", is_flag=True, help="Compile it anew if it is stale."),
    click.option("--adapter", help="Id of the adapter to answer with; none: without one."),
    click.option("--max-new-tokens", type=int, default=256, show_default=True),
    click.option("--temperature", type=float, default=0.0, show_default=True),
    click.option("--top-p", type=float, default=1.0, show_default=True),
    click.option("--top-k", type=int, default=0, help="0: of all tokens."),
    click.option("--seed", type=int, help="The same seed gives the same answer."),
    click.option("--stop", multiple=True, help="Text before which the answer ends; repeatable."),
]


@command("generate")
@click.argument("prompt")
@cube_option
@click.option("--activation", "-a", help="Id of the activation memory to begin at.")
@click.option("--join", "joined", multiple=True, help="Id of one of several, in their order.")
@click.option("--top", type=int, help="Of those only so many, by what is asked.")
@answering_options
@pass_session
def generate(
    session: Session,
    /,
    prompt: str,
    activation: str | None,
    joined: tuple[str, ...],
    top: int | None,
    **wanted: Any,
) -> None:
    """Ask the local model; the answer is printed as it comes. `-` reads PROMPT from stdin."""
    asked = sys.stdin.read() if prompt == "-" else prompt
    if joined:
        if activation is not None:
            raise click.UsageError("--activation and --join are two ways; give one of them")
        _joined(session, asked, activations=joined, top=top, **wanted)
        return
    if top is not None:
        raise click.UsageError("--top is of those that --join names; give them")
    wanted["activation"] = activation
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
        _note(session, done)


@command("generate-batch")
@click.argument("prompts", nargs=-1)
@cube_option
@click.option("--activation", "-a", help="Id of the activation memory to begin at.")
@answering_options
@pass_session
def generate_batch(session: Session, /, prompts: tuple[str, ...], **wanted: Any) -> None:
    """Ask several PROMPTS at once; what they have in common is computed once. Without any, each
    line of stdin is one."""
    asked = prompts or tuple(line for line in sys.stdin.read().splitlines() if line.strip())
    with session.memories() as memory:
        found = memory.generate_batch(asked, **wanted)
    output.emit(
        session,
        found,
        lambda: output.table(
            "prompt",
            "answer",
            rows=[(p, answer.text) for p, answer in zip(asked, found.items, strict=True)],
        ),
        brief=[output.clean(answer.text) for answer in found.items],
    )
    output.note(
        session,
        f"{found.computed_tokens} of {found.prompt_tokens} prompt tokens were computed for "
        f"{len(found.items)} answers",
    )


def _joined(session: Session, asked: str, **wanted: Any) -> None:
    with session.memories() as memory:
        done = memory.generate_joined(asked, **wanted)
    if session.json:
        output.emit_json(done)
        return
    click.echo(output.clean(done.text))
    _note(session, done)
    if done.reason is not None:
        output.note(session, f"not joined: {done.reason}")


def _note(session: Session, done: Generated) -> None:
    output.note(
        session,
        f"{done.reused_tokens} of {done.prompt_tokens} prompt tokens {done.states}, first "
        f"token after {done.ttft_s * 1000:.0f} ms, {done.new_tokens} tokens in "
        f"{done.total_s:.1f} s",
    )
