"""`memos cube`: create, list, show and delete cubes."""

from __future__ import annotations

from typing import Any

import click

from memos.cli import output
from memos.cli.changing import confirm
from memos.cli.options import Group, Pair, paging_options
from memos.cli.session import Session, pass_session
from memos.types import Cube, CubeDescription


@click.group("cube", cls=Group)
def cube() -> None:
    """Create, list, show and delete cubes."""


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
