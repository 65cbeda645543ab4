"""The command group: which commands there are, and how each ends.

Loads no command before it is called: `memos --help` reads the table below and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from memos.cli import failures, output
from memos.cli.options import Group, global_options
from memos.cli.session import Session
from memos.errors import MemosError

# name: (module in memos.cli and attribute, what help says)
COMMANDS = {
    "add": ("adding:add", "Add a text, a file, or many memories as JSON lines."),
    "search": ("reading:search", "Find the memories that answer a question."),
    "get": ("reading:get", "Show memories by id."),
    "list": ("reading:list_", "List the memories of a cube."),
    "history": ("reading:history", "Show all versions of a memory."),
    "update": ("changing:update", "Change fields of a memory; makes a new version."),
    "forget": ("changing:forget", "Archive memories, or erase them for good."),
    "restore": ("changing:restore", "Bring archived memories back."),
    "archive": ("lifecycle:archive", "Take memories out of search."),
    "freeze": ("lifecycle:freeze", "Keep memories as they are."),
    "thaw": ("lifecycle:thaw", "Undo a freeze."),
    "expire": ("lifecycle:expire", "Say that the time of memories is over."),
    "rollback": ("lifecycle:rollback", "Go back to a version of a memory."),
    "undo": ("lifecycle:undo", "Take back what an event tells of."),
    "lifecycle": ("lifecycle:lifecycle", "Show or set the rules by which memories expire."),
    "link": ("linking:link", "Connect two memories."),
    "links": ("linking:links", "List the links of a memory."),
    "unlink": ("linking:unlink", "Remove a link."),
    "facts": ("facts:facts", "Ask for facts, add one, or import many."),
    "why": ("events:why", "Say why a memory, fact, job or event is as it is."),
    "entities": ("graph:entities", "List what facts are about."),
    "entity": ("graph:entity", "Show an entity."),
    "timeline": ("graph:timeline", "Show the facts of an entity in order of time."),
    "neighbours": ("graph:neighbours", "Show the entities around an entity."),
    "paths": ("graph:paths", "Show how two entities are connected."),
    "diff": ("graph:diff", "Show how facts differ between two times."),
    "keep-open": ("rulings:keep_open", "Undo the closing of a fact."),
    "merge": ("rulings:merge", "Say that two entities are one."),
    "split": ("rulings:split", "Say that an entity is two."),
    "rulings": ("rulings:rulings", "List what people ruled."),
    "revoke": ("rulings:revoke", "Undo a ruling."),
    "vocabulary": ("graph:vocabulary", "Show or define predicates and entity types."),
    "note": ("notes:note", "Show what a memory is about."),
    "summaries": ("notes:summaries", "List summaries of sessions, segments and communities."),
    "consolidate": ("keeping:consolidate", "Merge, retire and generalise memories."),
    "sweep": ("keeping:sweep", "Archive what has faded or is over the budget."),
    "policy": ("keeping:policy", "Show or set how a cube keeps its memories."),
    "lineage": ("keeping:lineage", "Show what a memory comes from, and what comes from it."),
    "strength": ("keeping:strength", "Show how strongly a memory is held; pin or unpin it."),
    "erase": ("keeping:erase", "Erase a memory for good, with a signed receipt."),
    "audit": ("keeping:audit", "Show what a cube holds that it need not."),
    "context": ("keeping:context", "Print what to put before an agent."),
    "segments": ("keeping:segments", "Show a session by topics."),
    "extract": ("graph:extract", "Read facts out of the memories."),
    "summarise": ("notes:summarise", "Summarise sessions and communities anew."),
    "activation": ("activations:activation", "Compile memories for the local model."),
    "adapter": ("adapters:adapter", "Teach the local model memories."),
    "distill": ("adapters:distill", "Teach the local model memories, in short."),
    "generate": ("answers:generate", "Ask the local model."),
    "generate-batch": ("answers:generate_batch", "Ask the local model several things at once."),
    "cube": ("cubes:cube", "Create, list, show and delete cubes."),
    "key": ("keys:key", "Create, list and revoke API keys."),
    "jobs": ("jobs:jobs", "List, show, await, retry and cancel background jobs."),
    "schedules": ("jobs:schedules", "List and set schedules of jobs."),
    "events": ("events:events", "List or follow what happened by itself."),
    "top": ("events:top", "Watch the queue."),
    "serve": ("serving:serve", "Run the HTTP service."),
    "worker": ("serving:worker", "Run background jobs in the foreground."),
    "reindex": ("upkeep:reindex", "Rebuild what is derived from the memories."),
    "doctor": ("upkeep:doctor", "Find and repair drift between the stores."),
    "config": ("upkeep:config", "Show every setting and where it comes from."),
    "demo": ("demo:demo", "See it work: a server, a conversation, questions, dates."),
    "bench": ("bench:bench", "Run a benchmark."),
    "completion": ("completion:completion", "Print a shell completion script."),
}


class Memos(Group):
    """The top group; its commands are loaded by name."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        loaded = getattr(import_module(f"memos.cli.{module}"), attribute)
        assert isinstance(loaded, click.Command)
        return loaded

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def main(  # type: ignore[override]  # click's overloads only differ in what is returned
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Runs a command line; errors of ours become a message and an exit code."""
        session = extra.setdefault("obj", Session())
        extra["standalone_mode"] = False
        output.prepare_streams()
        try:
            code = super().main(args, prog_name, **extra)
            sys.stdout.flush()
        except MemosError as error:
            code = failures.report(error, as_json=session.json)
        except click.ClickException as error:
            code = failures.report_usage(error, as_json=session.json)
        except click.Abort:
            click.echo("interrupted", err=True)
            code = failures.INTERRUPTED
        except OSError as error:
            code = failures.report_system(error, as_json=session.json)
        # Commands return nothing; a number comes from Exit or from the errors above.
        sys.exit(code if isinstance(code, int) else 0)


cli = Memos(
    "memos",
    help="A memory operating system for LLM agents.\n\nCommands work in this process on the data"
    " folder, or, with --url or MEMOS_URL, over HTTP.",
    epilog=failures.EXIT_CODES,
    params=[*global_options()],
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(context: click.Context, option: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from memos import __version__

        click.echo(f"memos {__version__}")
        context.exit()


cli.params.append(
    click.Option(
        ["--version"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_version,
        help="Show the version.",
    )
)


def main() -> None:
    """The entry point of the command `memos`."""
    cli.main(prog_name="memos")
