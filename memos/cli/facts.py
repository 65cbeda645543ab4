"""`memos facts`: ask for facts, add one, import many."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import IO, Any

import click

from memos.cli import output
from memos.cli.fact_files import FORMS, at_line, cell, form_of, items
from memos.cli.graph_views import facts_view
from memos.cli.options import (
    Listing,
    Moment,
    alone,
    cube_option,
    paging_options,
    view_options,
)
from memos.cli.session import Session, pass_session
from memos.errors import MemosError
from memos.messages import as_fact, in_parts
from memos.types import AddedFacts


@click.group("facts", cls=Listing)
@click.option("--subject", "-s", help="Name, alias or id of an entity.")
@click.option("--predicate", "-p")
@click.option("--object", "-o", help="Name, alias or id of an entity, or a value.")
@cube_option
@view_options
@click.option("--since", type=Moment(), help="Still true at this time or after.")
@click.option("--until", type=Moment(), help="True before this time.")
@click.option("--min-confidence", type=float, default=0.0, help="From 0 to 1.")
@paging_options
@pass_session
@click.pass_context
def facts(context: click.Context, session: Session, /, **wanted: Any) -> None:
    """Ask for facts: a triple with a question mark for what is not given.

    Without --as-of they are all that is believed, whenever it was true.
    """
    if not alone(context):
        return
    with session.memories() as memory:
        page = memory.facts(**wanted)
    output.emit(
        session, page, lambda: facts_view(page.items), brief=[fact.id for fact in page.items]
    )
    if page.next_cursor:
        output.note(session, f"more: --cursor {page.next_cursor}")
    if not page.items:
        output.note(session, "none; what was added lately is read by `memos extract`, if not yet")


@facts.command("add")
@click.argument("subject")
@click.argument("predicate")
@click.argument("object", required=False)
@cube_option
@click.option("--subject-type", default="thing", show_default=True, help="An entity type.")
@click.option("--object-type", help="Makes OBJECT the name of an entity of this type.")
@click.option("--unit", help="Of a number.")
@click.option("--not", "negated", is_flag=True, help="It is not so; without OBJECT: of none.")
@click.option("--valid-at", help="Since when; 2023, 2023-05, 2023-05-01 or RFC 3339.")
@click.option("--invalid-at", help="Until when.")
@click.option("--place", help="Where.")
@click.option("--confidence", type=float, default=1.0, show_default=True, help="From 0 to 1.")
@click.option("--session", "session_id", help="Id of the session.")
@pass_session
def add(session: Session, /, cube: str, session_id: str | None, **given: Any) -> None:
    """Add the fact SUBJECT PREDICATE OBJECT, such as: Ana lives_in Lisbon."""
    told = {name: value for name, value in given.items() if value is not None}
    if "object" in told:
        told["object"] = cell(told["object"])
    fact = as_fact(told)
    with session.memories() as memory:
        added = memory.add_facts([fact], cube=cube, session_id=session_id)
    output.emit(
        session,
        added,
        lambda: output.facts([("added", fact.id) for fact in added.facts]),
        brief=[fact.id for fact in added.facts],
    )


@facts.command("import")
@click.argument("file", type=click.File("rb"))
@cube_option
@click.option("--format", "form", type=click.Choice(FORMS), help="Default: by the file's name.")
@click.option("--name-field", help="The file holds records; this field names their subject.")
@click.option("--type", default="thing", show_default=True, help="Entity type of the subjects.")
@click.option("--time-field", help="The field of a record that says since when.")
@click.option("--session", "session_id", help="Id of the session.")
@click.option("--batch-size", type=int, default=256, show_default=True, help="Rows per part.")
@pass_session
def import_(
    session: Session,
    /,
    file: IO[bytes],
    cube: str,
    form: str | None,
    name_field: str | None,
    type: str,
    time_field: str | None,
    session_id: str | None,
    batch_size: int,
) -> None:
    """Import facts from FILE: .json, .jsonl or .csv; - is stdin.

    A row is a fact: an object with subject, predicate, object, valid_at …, or in JSON also an array
    of them in this order. With --name-field it is a record, and each of its other fields becomes a
    fact. When a row can't be used, the parts before it are kept.
    """
    if name_field is None and time_field is not None:
        raise click.UsageError("--time-field goes with --name-field")
    how: dict[str, Any] = {"cube": cube, "session_id": session_id}
    started = time.monotonic()
    done = 0
    with ExitStack() as stack:
        memory = stack.enter_context(session.memories())
        bar = stack.enter_context(output.progress(session, of_bytes=True))
        task = bar.add_task("importing", total=output.size_of(file))
        rows = items(
            file,
            form or form_of(file.name),
            records=name_field is not None,
            texts=[name for name in (name_field, time_field) if name],
            advance=lambda count: bar.update(task, advance=count),
        )
        try:
            for part in in_parts(rows, batch_size):
                values = [value for _, value in part]
                try:
                    if name_field is None:
                        added = memory.add_facts(values, **how)
                    else:
                        added = memory.add_records(
                            values, name_field=name_field, type=type, time_field=time_field, **how
                        )
                except MemosError as error:
                    raise at_line(error, [line for line, _ in part]) from error
                done += len(added.facts)
                bar.update(task, description=f"importing, {done} done")
                _tell(session, added)
        except MemosError as error:
            error.details["done"] = done
            output.note(session, f"stopped; {done} facts were added and are kept")
            raise
    took = time.monotonic() - started
    output.note(session, f"added {done} facts to {cube} in {took:.1f} s")


def _tell(session: Session, added: AddedFacts) -> None:
    if session.json:
        output.emit_json(added)
    elif session.quiet:
        click.echo("\n".join(fact.id for fact in added.facts))
