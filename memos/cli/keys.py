"""`memos key`: create, list and revoke API keys.

In this process no key is needed: who can write the data folder may issue keys.
"""

from __future__ import annotations

import click

from memos.cli import output
from memos.cli.options import Group
from memos.cli.session import Session, pass_session
from memos.types import Role


@click.group("key", cls=Group)
def key() -> None:
    """Create, list and revoke API keys."""


@key.command("create")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.WRITER.value,
    show_default=True,
)
@click.option("--cube", "-c", "cubes", multiple=True, help="Only this cube; may be repeated.")
@pass_session
def create(session: Session, name: str, role: str, cubes: tuple[str, ...]) -> None:
    """Create a key and print its secret, which can't be seen again."""
    with session.memories() as memory:
        issued = memory.create_key(name, role=Role(role), cubes=cubes)
    output.emit(
        session,
        issued,
        lambda: output.facts(
            [("id", issued.key.id), ("role", issued.key.role.value), ("secret", issued.secret)]
        ),
        brief=[issued.secret],
    )
    output.note(session, "keep the secret now; only its hash is stored")


@key.command("list")
@pass_session
def list_(session: Session) -> None:
    """List keys, without their secrets."""
    with session.memories() as memory:
        found = memory.keys()
    rows = [
        (
            k.id,
            k.name,
            k.role.value,
            ", ".join(k.cubes) or "all",
            output.when(k.created_at),
            output.when(k.revoked_at),
        )
        for k in found
    ]
    output.emit(
        session,
        found,
        lambda: output.table("id", "name", "role", "cubes", "created", "revoked", rows=rows),
        brief=[k.id for k in found],
    )


@key.command("revoke")
@click.argument("id")
@pass_session
def revoke(session: Session, id: str) -> None:
    """Revoke a key; it is refused from now on."""
    with session.memories() as memory:
        gone = memory.revoke_key(id)
    output.emit(session, gone, lambda: output.facts([("revoked", gone.id)]), brief=[gone.id])
