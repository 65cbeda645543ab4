"""Options that several commands take, and the command classes that add the global ones.

Knows how values are written on a command line, not what they are used for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from memos.cli.session import remember
from memos.types import Kind, State

F = TypeVar("F", bound=Callable[..., Any])

if TYPE_CHECKING:
    _MomentType = click.ParamType[datetime]
    _PairType = click.ParamType[tuple[str, Any]]
    _ObjectType = click.ParamType[dict[str, Any]]
else:  # click before 8.4 has no type parameter
    _MomentType = _PairType = _ObjectType = click.ParamType


def global_options() -> list[click.Option]:
    """Accepted before and after the command's name."""
    common: dict[str, Any] = {"expose_value": False, "callback": remember}
    return [
        click.Option(
            ["--data-dir"],
            type=click.Path(file_okay=False, path_type=Path),
            help="Work in this process on this folder.",
            **common,
        ),
        click.Option(["--url"], metavar="URL", help="Work over HTTP with this service.", **common),
        click.Option(["--api-key"], metavar="KEY", help="Key for the service.", **common),
        click.Option(["--json"], is_flag=True, help="Print JSON, as it goes over HTTP.", **common),
        click.Option(
            ["--quiet", "-q"], is_flag=True, help="Print ids or values only, no notes.", **common
        ),
    ]


class Command(click.Command):
    """A command that takes the global options as well."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(global_options())


class Group(click.Group):
    """A group of commands that take the global options as well."""

    command_class = Command


class Listing(Group):
    """A group that by itself does something: its callback asks `alone` first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["invoke_without_command"] = True
        super().__init__(*args, **kwargs)
        self.params.extend(global_options())


def alone(context: click.Context) -> bool:
    """Whether no subcommand was called. UsageError for options before one, which it would never
    see."""
    if context.invoked_subcommand is None:
        return True
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"--{name.replace('_', '-')} must stand after {context.invoked_subcommand}", context
            )
    return False


def command(name: str, **options: Any) -> Callable[[Callable[..., Any]], Command]:
    return click.command(name, cls=Command, **options)


class Moment(_MomentType):
    """A time: ISO 8601. Without a zone it is UTC; a date alone is its midnight."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        text = str(value).strip()
        try:
            if len(text) == 10:
                day = date.fromisoformat(text)
                return datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
            if text[-1:] in "zZ":
                text = text[:-1] + "+00:00"
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{value!r} is no time; write 2024-05-01 or 2024-05-01T14:30Z")
        return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


class Pair(_PairType):
    """KEY=VALUE; the value is JSON if it reads as such, else text."""

    name = "key=value"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[str, Any]:
        if isinstance(value, tuple):
            return value[0], value[1]
        key, equals, text = str(value).partition("=")
        if not equals or not key:
            self.fail(f"{value!r} is no KEY=VALUE")
        try:
            return key, json.loads(text)
        except ValueError:
            return key, text


class JsonObject(_ObjectType):
    """A JSON object."""

    name = "json"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        try:
            parsed = json.loads(value)
        except ValueError as error:
            self.fail(f"{value!r} is no JSON: {error}")
        if not isinstance(parsed, dict):
            self.fail(f"{value!r} is no JSON object")
        return parsed


KINDS = click.Choice([kind.value for kind in Kind])
STATES = click.Choice([state.value for state in State])


def cube_option(function: F) -> F:
    return click.option(
        "--cube", "-c", default="default", show_default=True, help="Name or id of the cube."
    )(function)


def scope_options(function: F) -> F:
    """--user, --agent and --session, as user_id, agent_id and session_id."""
    for name in ("session", "agent", "user"):
        function = click.option(f"--{name}", f"{name}_id", help=f"Id of the {name}.")(function)
    return function


def known_option(function: F) -> F:
    return click.option(
        "--known-as-of", type=Moment(), help="As it was known at this time; a date is its start."
    )(function)


def view_options(function: F) -> F:
    """--as-of and --known-as-of, the two times of a read."""
    function = known_option(function)
    return click.option(
        "--as-of", type=Moment(), help="As it was in the world at this time; a date is its start."
    )(function)


def reason_option(function: F) -> F:
    return click.option("--reason", help="Kept in the history.")(function)


def paging_options(function: F) -> F:
    function = click.option("--cursor", help="Where the page before ended.")(function)
    return click.option("--limit", "-n", type=int, default=50, show_default=True)(function)
