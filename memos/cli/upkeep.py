"""`memos reindex`, `doctor` and `config`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from memos.cli import failures, output
from memos.cli.jobs import emit_job, watch
from memos.cli.options import command
from memos.cli.session import Session, pass_session

if TYPE_CHECKING:
    from memos.cli.session import Memories

_PAGE = 200
_MASK = "********"


@command("reindex")
@click.argument("cube", default="default")
@click.option("--all", "every", is_flag=True, help="All cubes.")
@click.option("--embed", is_flag=True, help="Make the vectors anew; needed after a model change.")
@click.option("--no-wait", is_flag=True, help="Only queue the job.")
@click.option("--timeout", type=float, default=3600.0, show_default=True, help="In seconds.")
@pass_session
def reindex(
    session: Session, cube: str, every: bool, embed: bool, no_wait: bool, timeout: float
) -> None:
    """Rebuild everything that is derived from the memories of CUBE."""
    with session.memories() as memory:
        for name in _names(memory) if every else [cube]:
            job = memory.reindex(name, embed=embed)
            if not no_wait:
                job = watch(session, memory, job, timeout=timeout)
            emit_job(session, job)


def _names(memory: Memories) -> Iterator[str]:
    cursor = None
    while True:
        page = memory.cubes(cursor=cursor, limit=_PAGE)
        yield from (cube.name for cube in page.items)
        cursor = page.next_cursor
        if cursor is None:
            return


@command("doctor")
@click.option("--repair", is_flag=True, help="Mend what can be mended.")
@pass_session
def doctor(session: Session, repair: bool) -> None:
    """Find drift between the truth and what is derived from it.

    Ends with exit code 1 while anything is left to repair.
    """
    session.only_here("doctor")
    import memos

    settings = session.settings()
    output.note(session, f"looking at {settings.data_dir}")
    if not settings.database_url and not (settings.data_dir / "memos.db").exists():
        output.note(session, "no memory was ever stored there: its database is new and empty")
    with memos.open(data_dir=session.data_dir) as memory:
        findings = memory.doctor(repair=repair)
    rows = [
        (f.check, f.cube_id, f.problem, f.count, "repaired" if f.repaired else "open")
        for f in findings
    ]
    if rows or session.json:
        output.emit(
            session,
            findings,
            lambda: output.table("check", "cube", "problem", "count", "state", rows=rows),
            brief=[f"{f.check}: {f.problem}" for f in findings],
        )
    if not rows:
        output.note(session, "all is well")
    if any(not f.repaired for f in findings):
        if not repair:
            output.note(session, "`memos doctor --repair` mends what can be mended")
        click.get_current_context().exit(failures.FAILURE)


@command("config")
@pass_session
def config(session: Session) -> None:
    """Show every setting: its value, where that comes from, and what it is for."""
    found = effective(session)
    rows = [(name, s["value"], s["origin"], s["help"]) for name, s in found.items()]
    output.emit(
        session,
        found,
        lambda: output.table(
            "setting", "value", "origin", "what it is", rows=rows, fixed=("setting", "origin")
        ),
        brief=[f"{name}={s['value']}" for name, s in found.items()],
    )


def effective(session: Session) -> dict[str, dict[str, Any]]:
    """Each setting's value, origin and help; secrets are masked."""
    from memos.config import Settings, client_environment, explain

    settings, origin = explain(data_dir=session.data_dir)
    found = {}
    for spec in fields(Settings):
        value = getattr(settings, spec.name)
        masked = _MASK if spec.metadata.get("secret") and value else value
        shown = masked if isinstance(masked, (bool, int, float)) else str(masked)
        found[spec.name] = {
            "value": shown,
            "origin": origin[spec.name],
            "help": spec.metadata["help"],
        }
    url, api_key = client_environment()
    found["url"] = _client_row(session.url, url, "service that commands and clients talk to")
    found["api_key"] = _client_row(session.api_key, api_key, "key for that service", secret=True)
    return found


def _client_row(
    argument: str | None, environment: str | None, help: str, *, secret: bool = False
) -> dict[str, Any]:
    value = argument or environment or ""
    origin = "argument" if argument else "environment" if environment else "default"
    return {"value": _MASK if secret and value else value, "origin": origin, "help": help}
