"""`memos cube`: create, list, show, delete, dump and load cubes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from memos.cli import output
from memos.cli.changing import confirm
from memos.cli.options import Group, Pair, paging_options
from memos.cli.session import Session, pass_session
from memos.types import Cube, CubeDescription


@click.group("cube", cls=Group)
def cube() -> None:
    """Create, list, show, delete, dump and load cubes."""


@cube.command("create")
@click.argument("name")
@click.option("--description", default="")
@click.option("--meta", type=Pair(), multiple=True, help="Metadata; may be repeated.")
@pass_session
def create(
    session: Session, name: str, description: str, meta: tuple[tuple[str, Any], ...]
) -> None:
    """Create a cube."""
    with session.memories() as memory:
        made = memory.create_cube(name, description=description, metadata=dict(meta))
    output.emit(
        session,
        made,
        lambda: output.facts([("created", made.name), ("id", made.id)]),
        brief=[made.id],
    )


@cube.command("list")
@paging_options
@pass_session
def list_(session: Session, limit: int, cursor: str | None) -> None:
    """List cubes, a page at a time."""
    with session.memories() as memory:
        page = memory.cubes(cursor=cursor, limit=limit)
    rows = [(c.name, c.id, output.when(c.created_at), _model(c), c.description) for c in page.items]
    output.emit(
        session,
        page,
        lambda: output.table(
            "name", "id", "created", "model", "description", rows=rows, fixed=("name", "id")
        ),
        brief=[c.name for c in page.items],
    )
    if page.next_cursor:
        output.note(session, f"more: --cursor {page.next_cursor}")


@cube.command("show")
@click.argument("cube")
@pass_session
def show(session: Session, cube: str) -> None:
    """Show a cube and what is in it."""
    with session.memories() as memory:
        described = memory.describe_cube(cube)
    output.emit(
        session, described, lambda: output.facts(_facts(described)), brief=[described.cube.id]
    )


@cube.command("delete")
@click.argument("cube")
@click.option("--yes", "-y", is_flag=True, help="Delete without asking.")
@pass_session
def delete(session: Session, cube: str, yes: bool) -> None:
    """Delete a cube with all its memories, for good."""
    confirm(f"Delete cube {cube} with all its memories?", yes=yes)
    with session.memories() as memory:
        memory.delete_cube(cube)
    output.note(session, f"deleted {cube}")


@cube.command("dump")
@click.argument("cube")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@pass_session
def dump(session: Session, cube: str, file: Path) -> None:
    """Write a cube into a file, to be loaded elsewhere."""
    with session.memories() as memory:
        made = memory.dump(file, cube=cube)
    rows = [("file", str(file)), ("bytes", made.bytes), ("sha256", made.sha256)]
    output.emit(
        session,
        made,
        lambda: output.facts([("dumped", made.name), *rows, ("rows", _counts(made.rows))]),
        brief=[made.sha256],
    )


@cube.command("load")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="Of the new cube; without it the one in the file.")
@pass_session
def load(session: Session, file: Path, name: str | None) -> None:
    """Make a new cube of a file: all that is in it, or nothing."""
    with session.memories() as memory:
        loaded = memory.load(file, name=name)
    output.emit(
        session,
        loaded,
        lambda: output.facts(
            [
                ("loaded", loaded.cube.name),
                ("id", loaded.cube.id),
                ("rows", _counts(loaded.rows)),
                ("jobs", len(loaded.jobs)),
            ]
        ),
        brief=[loaded.cube.id],
    )


def _facts(described: CubeDescription) -> list[tuple[str, Any]]:
    cube = described.cube
    return [
        ("name", cube.name),
        ("id", cube.id),
        ("description", cube.description),
        ("metadata", dict(cube.metadata)),
        ("model", _model(cube)),
        ("memories", described.memories),
        ("by kind", _counts(described.by_kind)),
        ("by state", _counts(described.by_state)),
        ("sessions", described.sessions),
        ("text bytes", described.text_bytes),
        ("vector bytes", described.vector_bytes),
        ("earliest", output.when(described.earliest)),
        ("latest", output.when(described.latest)),
        ("created", output.when(cube.created_at)),
    ]


def _counts(counts: Any) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count)


def _model(cube: Cube) -> str:
    return cube.embedding.id if cube.embedding else ""
