"""`memos add`: one text, one file, or any number of JSON lines.

Reads JSON lines as they come and holds one part of them at a time; says nothing of what the
service does with them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

import click

from memos.cli import output
from memos.cli.options import KINDS, Moment, Pair, command, cube_option, scope_options
from memos.cli.session import Session, pass_session
from memos.errors import InvalidInput, MemosError
from memos.types import Kind, Message, NewMemory

if TYPE_CHECKING:
    from memos.messages import Item


@command("add")
@click.argument("text", required=False)
@click.option("--file", "-f", type=click.File("rb"), help="A text file, as one memory.")
@click.option(
    "--jsonl",
    type=click.File("rb"),
    help="JSON lines: memories, messages (with a role) or strings; - is stdin.",
)
@cube_option
@click.option("--kind", type=KINDS, default=Kind.EPISODIC.value, show_default=True)
@scope_options
@click.option("--speaker", help="Who said it.")
@click.option("--at", "occurred_at", type=Moment(), help="When it happened.")
@click.option("--place", help="Where it happened.")
@click.option("--meta", type=Pair(), multiple=True, help="Metadata; may be repeated.")
@click.option("--priority", type=float, help="From 0 to 1.")
@click.option("--expires-at", type=Moment(), help="When it stops being searched.")
@click.option("--no-wait", is_flag=True, help="Answer when durable, before it is searchable.")
@click.option("--batch-size", type=int, default=256, show_default=True, help="Lines per part.")
@pass_session
def add(
    session: Session,
    text: str | None,
    file: IO[bytes] | None,
    jsonl: IO[bytes] | None,
    cube: str,
    kind: str,
    user_id: str | None,
    agent_id: str | None,
    session_id: str | None,
    speaker: str | None,
    occurred_at: datetime | None,
    place: str | None,
    meta: tuple[tuple[str, Any], ...],
    priority: float | None,
    expires_at: datetime | None,
    no_wait: bool,
    batch_size: int,
) -> None:
    """Add TEXT, or what is on stdin if TEXT is -.

    The other options hold for every item that doesn't set them itself.
    """
    if sum(given is not None for given in (text, file, jsonl)) != 1:
        raise click.UsageError("give one of TEXT (- for stdin), --file and --jsonl")
    defaults: dict[str, Any] = {
        "kind": Kind(kind),
        "user_id": user_id,
        "agent_id": agent_id,
        "session_id": session_id,
        "speaker": speaker,
        "occurred_at": occurred_at,
        "place": place,
        "metadata": dict(meta) or None,
        "priority": priority,
        "expires_at": expires_at,
    }
    if jsonl is not None:
        if no_wait:
            raise click.UsageError("--no-wait does not go with --jsonl")
        _add_lines(session, jsonl, cube, batch_size, defaults)
        return
    if text == "-":
        text = decoded(sys.stdin.buffer.read(), "stdin")
    elif file is not None:
        text = decoded(file.read(), file.name)
    with session.memories() as memory:
        added = memory.add(text or "", cube=cube, wait=not no_wait, **defaults)
    output.emit(
        session,
        added,
        lambda: output.facts(
            [*(("added", m.id) for m in added.memories), *(("job", job) for job in added.jobs)]
        ),
        brief=[m.id for m in added.memories],
    )


def _add_lines(
    session: Session, stream: IO[bytes], cube: str, batch_size: int, defaults: dict[str, Any]
) -> None:
    started = time.monotonic()
    done = 0
    with ExitStack() as stack:
        memory = stack.enter_context(session.memories())
        size = output.size_of(stream)
        bar = stack.enter_context(output.progress(session, of_bytes=True))
        task = bar.add_task("adding", total=size)
        items = _items(stream, lambda count: bar.update(task, advance=count))
        try:
            for part in memory.add_batch(items, cube=cube, batch_size=batch_size, **defaults):
                done = part.done
                bar.update(task, description=f"adding, {done} done")
                if session.json:
                    output.emit_json(part)
                elif session.quiet:
                    click.echo("\n".join(part.ids))
        except MemosError as error:
            error.details["done"] = done
            output.note(session, f"stopped; the first {done} memories were added and are kept")
            raise
    took = time.monotonic() - started
    output.note(session, f"added {done} memories to {cube} in {took:.1f} s")


def _items(stream: IO[bytes], advance: Callable[[int], None]) -> Iterator[Item]:
    """The items of the lines; empty lines are passed over. InvalidInput names the line."""
    for number, line in enumerate(stream, start=1):
        advance(len(line))
        if line.strip():
            try:
                yield _item(line)
            except InvalidInput as error:
                raise InvalidInput(f"line {number}: {error.message}", line=number) from error


def _item(line: bytes) -> Item:
    from memos.wire import from_builtins, from_json

    # Strict: a misspelt field in a file would lose its content in silence.
    parsed = from_json(line, object)
    if isinstance(parsed, str):
        return parsed
    if not isinstance(parsed, dict):
        raise InvalidInput("it is no JSON object or string")
    kind: type[NewMemory] | type[Message] = Message if "role" in parsed else NewMemory
    unknown = sorted(set(parsed) - set(kind.__dataclass_fields__))
    if unknown:
        raise InvalidInput(
            f"unknown field {', '.join(unknown)}; a {kind.__name__} has"
            f" {', '.join(kind.__dataclass_fields__)}"
        )
    return from_builtins(parsed, kind)


def decoded(content: bytes, name: str) -> str:
    """The text of a file. InvalidInput if it is not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{name} is no UTF-8 text (byte {error.start}); convert it first"
        ) from error
