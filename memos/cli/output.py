"""What commands print: JSON as on the wire, or text and tables for people.

Knows how to show things, not where they come from. rich is loaded only to show something.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING, Any

import click

from memos.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress
    from rich.table import Table

# A stored text must not move the cursor or set colours; rich passes escape sequences on.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PIPED_WIDTH = 160


def prepare_streams() -> None:
    """A character that the terminal's encoding lacks is shown as `?`, not an error. Who has closed
    a stream before the start wants to see nothing, as of a server without a terminal."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  until the end of the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def clean(text: str) -> str:
    """A text that is safe to print on a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def when(moment: datetime | None) -> str:
    """A time in UTC, to the minute; empty for None."""
    if moment is None:
        return ""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%MZ")


def console(*, err: bool = False) -> Console:
    """Colours and the terminal's width on a terminal only."""
    from rich.console import Console

    stream = sys.stderr if err else sys.stdout
    width = None if stream.isatty() else _PIPED_WIDTH
    return Console(stderr=err, width=width, markup=False, highlight=False, emoji=False)


def emit(
    session: Session,
    value: Any,
    show: Callable[[], RenderableType],
    *,
    brief: Iterable[str] = (),
) -> None:
    """Prints `value` as JSON with --json, the lines of `brief` with --quiet, else `show()`."""
    if session.json:
        emit_json(value)
    elif session.quiet:
        for line in brief:
            click.echo(clean(line))
    else:
        console().print(show())


def emit_json(value: Any) -> None:
    """One line of JSON, exactly as it goes over HTTP."""
    from memos.wire import to_json

    click.echo(to_json(value))
    sys.stdout.flush()


def note(session: Session, message: str) -> None:
    """A remark for people, on stderr; not with --json or --quiet."""
    if not session.json and not session.quiet:
        click.echo(clean(message), err=True)


def table(*columns: str, rows: Iterable[Sequence[Any]], fixed: Sequence[str] = ("id",)) -> Table:
    """A table of plain texts; the `fixed` columns are never wrapped or cut, empty ones left out."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    cells = [[clean("" if cell is None else str(cell)).strip() for cell in row] for row in rows]
    shown = [
        number for number in range(len(columns)) if not cells or any(row[number] for row in cells)
    ]
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for number in shown:
        name = columns[number]
        made.add_column(name, no_wrap=name in fixed, overflow="fold")
    for row in cells:
        made.add_row(*(Text(row[number]) for number in shown))
    return made


def facts(pairs: Iterable[tuple[str, Any]]) -> Table:
    """Names and values of one thing; empty values are left out."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None and value != "" and value != {} and value != ():
            made.add_row(name, Text(clean(str(value))))
    return made


def size_of(stream: IO[bytes]) -> int | None:
    """Bytes of a regular file, for the progress bar; None for a pipe."""
    try:
        return os.fstat(stream.fileno()).st_size or None
    except OSError:
        return None


def progress(session: Session, *, of_bytes: bool = False) -> Progress:
    """A progress display on stderr; silent with --quiet or where stderr is no terminal."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn() if of_bytes else MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console(err=True),
        transient=True,
        disable=session.quiet or not sys.stderr.isatty(),
    )
