"""`memos entities`, `entity`, `timeline`, `neighbours`, `paths`, `diff`, `vocabulary` and
`extract`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from memos.cli import output
from memos.cli.graph_views import (
    diff_view,
    entities_view,
    facts_view,
    other_names,
    paths_view,
    triple,
)
from memos.cli.jobs import emit_job, watch
from memos.cli.options import (
    Listing,
    Moment,
    alone,
    command,
    cube_option,
    known_option,
    paging_options,
    view_options,
)
from memos.cli.session import Session, pass_session
from memos.types import Entity, Vocabulary


@command("entities")
@cube_option
@click.option("--text", help="In a name or alias.")
@click.option("--type", help="An entity type.")
@known_option
@paging_options
@pass_session
def entities(session: Session, /, **wanted: Any) -> None:
    """List the entities of a cube, a page at a time."""
    with session.memories() as memory:
        page = memory.entities(**wanted)
    output.emit(
        session, page, lambda: entities_view(page.items), brief=[item.id for item in page.items]
    )
    if page.next_cursor:
        output.note(session, f"more: --cursor {page.next_cursor}")


@command("entity")
@click.argument("entity")
@cube_option
@known_option
@pass_session
def entity(session: Session, entity: str, cube: str, known_as_of: datetime | None) -> None:
    """Show an entity, by id, name or alias."""
    with session.memories() as memory:
        found = memory.entity(entity, cube=cube, known_as_of=known_as_of)
    output.emit(session, found, lambda: output.facts(_of_entity(found)), brief=[found.id])


def _of_entity(entity: Entity) -> list[tuple[str, Any]]:
    return [
        ("id", entity.id),
        ("name", entity.name),
        ("type", entity.type),
        ("also", other_names(entity)),
        ("mentions", entity.mentions),
        ("facts", entity.facts),
        ("merged into", entity.merged_into),
        ("created", output.when(entity.created_at)),
    ]


@command("timeline")
@click.argument("entity")
@cube_option
@click.option("--predicate", "-p")
@known_option
@click.option("--since", type=Moment(), help="Not before.")
@click.option("--until", type=Moment(), help="Before.")
@click.option("--limit", "-n", type=int, default=200, show_default=True)
@pass_session
def timeline(session: Session, /, entity: str, **wanted: Any) -> None:
    """Show the facts of an entity in order of time."""
    with session.memories() as memory:
        found = memory.timeline(entity, **wanted)
    output.emit(session, found, lambda: facts_view(found), brief=[fact.id for fact in found])


@command("neighbours")
@click.argument("entity")
@cube_option
@click.option("--hops", type=int, default=1, show_default=True, help="How many facts away.")
@view_options
@click.option("--limit", "-n", type=int, default=50, show_default=True)
@pass_session
def neighbours(session: Session, /, entity: str, **wanted: Any) -> None:
    """Show the entities around an entity, and the facts that lead to them."""
    with session.memories() as memory:
        found = memory.neighbours(entity, **wanted)
    rows = [
        (
            near.distance,
            near.entity.name,
            near.entity.type,
            "; ".join(triple(fact) for fact in near.facts),
            near.entity.id,
        )
        for near in found
    ]
    output.emit(
        session,
        found,
        lambda: output.table("hops", "name", "type", "by", "id", rows=rows),
        brief=[near.entity.name for near in found],
    )


@command("paths")
@click.argument("source")
@click.argument("target")
@cube_option
@click.option("--max-hops", type=int, default=4, show_default=True, help="How many facts long.")
@view_options
@click.option("--limit", "-n", type=int, default=5, show_default=True)
@pass_session
def paths(session: Session, /, source: str, target: str, **wanted: Any) -> None:
    """Show how two entities are connected, and the memories that say so."""
    with session.memories() as memory:
        found = memory.paths(source, target, **wanted)
    output.emit(
        session,
        found,
        lambda: paths_view(found),
        brief=["; ".join(triple(step.fact) for step in path.steps) for path in found],
    )
    if not found:
        output.note(session, f"nothing connects {source} and {target} within that many facts")


@command("diff")
@click.argument("since", type=Moment())
@click.argument("until", type=Moment())
@cube_option
@click.option(
    "--axis",
    type=click.Choice(["known", "valid"]),
    default="known",
    show_default=True,
    help="What was believed at each time, or what was true.",
)
@pass_session
def diff(session: Session, since: datetime, until: datetime, cube: str, axis: Any) -> None:
    """Show how facts differ between two times: + new, - gone, ~ changed."""
    with session.memories() as memory:
        found = memory.diff(since, until, cube=cube, axis=axis)
    ids = [fact.id for fact in (*found.appeared, *found.disappeared)]
    ids += [after.id for _, after in found.changed]
    output.emit(session, found, lambda: diff_view(found), brief=ids)


@click.group("vocabulary", cls=Listing)
@cube_option
@pass_session
@click.pass_context
def vocabulary(context: click.Context, session: Session, cube: str) -> None:
    """Show the predicates and entity types, or define one."""
    if not alone(context):
        return
    with session.memories() as memory:
        found = memory.vocabulary(cube=cube)
    names = [known.name for known in found.predicates]
    output.emit(session, found, lambda: _vocabulary_view(found), brief=names)


@vocabulary.command("predicate")
@click.argument("name")
@cube_option
@click.option("--functional", is_flag=True, help="At most one object at a time.")
@click.option("--event", is_flag=True, help="It happens at its time and stays true.")
@click.option("--inverse", help="Its name, read from the object's side.")
@click.option("--subject-type", "subject_types", multiple=True, help="May be repeated.")
@click.option("--object-type", "object_types", multiple=True, help="May be repeated.")
@click.option("--description", default="")
@pass_session
def predicate(session: Session, /, name: str, **fields: Any) -> None:
    """Define the predicate NAME, or change what it means for time."""
    with session.memories() as memory:
        made = memory.define_predicate(name, **fields)
    output.emit(session, made, lambda: output.facts([("defined", made.name)]), brief=[made.name])


@vocabulary.command("type")
@click.argument("name")
@cube_option
@click.option("--parent", help="A more general type.")
@click.option("--description", default="")
@pass_session
def type_(session: Session, /, name: str, **fields: Any) -> None:
    """Define the entity type NAME."""
    with session.memories() as memory:
        made = memory.define_type(name, **fields)
    output.emit(session, made, lambda: output.facts([("defined", made.name)]), brief=[made.name])


def _vocabulary_view(found: Vocabulary) -> Any:
    from rich.console import Group

    predicates = output.table(
        *("predicate", "how", "subjects", "objects", "inverse", "description"),
        rows=[
            (
                known.name,
                "event" if known.event else "one at a time" if known.functional else "several",
                ", ".join(known.subject_types),
                ", ".join(known.object_types),
                known.inverse,
                known.description,
            )
            for known in found.predicates
        ],
        fixed=("predicate", "how"),
    )
    types = output.table(
        *("type", "parent", "description"),
        rows=[(known.name, known.parent, known.description) for known in found.types],
        fixed=("type",),
    )
    return Group(predicates, types)


@command("extract")
@cube_option
@click.option("--again", is_flag=True, help="Read everything anew.")
@click.option("--no-wait", is_flag=True, help="Only queue the job.")
@click.option("--timeout", type=float, default=3600.0, show_default=True, help="In seconds.")
@pass_session
def extract(session: Session, cube: str, again: bool, no_wait: bool, timeout: float) -> None:
    """Read facts out of the memories that were not read yet."""
    with session.memories() as memory:
        job = memory.extract(cube=cube, again=again)
        if not no_wait:
            job = watch(session, memory, job, timeout=timeout)
        emit_job(session, job)
