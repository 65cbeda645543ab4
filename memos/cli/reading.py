"""`memos search`, `get`, `list` and `history`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from memos.cli import output
from memos.cli.options import (
    KINDS,
    STATES,
    JsonObject,
    Moment,
    command,
    cube_option,
    known_option,
    paging_options,
    scope_options,
    view_options,
)
from memos.cli.session import Session, pass_session
from memos.types import LIVE, Hit, Kind, Memory, SearchResult, State

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


@command("search")
@click.argument("text")
@cube_option
@click.option("--limit", "-n", type=int, default=10, show_default=True)
@scope_options
@click.option("--kind", "kinds", type=KINDS, multiple=True, help="May be repeated.")
@click.option("--filter", type=JsonObject(), help='On metadata: {"topic": {"eq": "work"}}.')
@click.option("--since", type=Moment(), help="Not before.")
@click.option("--until", type=Moment(), help="Before.")
@click.option("--place", help="Only what has this place.")
@view_options
@click.option("--mmr", type=float, help="0 (diverse) to 1 (relevant).")
@click.option(
    "--token-budget", "--budget", "token_budget", type=int, help="Most tokens of all hits together."
)
@click.option("--explain", is_flag=True, help="Say how each hit was found.")
@click.option(
    "--summaries", type=int, default=0, show_default=True, help="Most summaries found besides."
)
@pass_session
def search(
    session: Session,
    /,
    text: str,
    cube: str,
    limit: int,
    kinds: tuple[str, ...],
    explain: bool,
    **rest: Any,
) -> None:
    """Find the memories that answer TEXT."""
    with session.memories() as memory:
        result = memory.search(
            text,
            cube=cube,
            limit=limit,
            kinds=tuple(Kind(kind) for kind in kinds),
            explain=explain,
            **rest,
        )
    output.emit(
        session,
        result,
        lambda: result_view(result, explain=explain),
        brief=[hit.memory.content for hit in result.hits],
    )


@command("get")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@cube_option
@view_options
@pass_session
def get(
    session: Session,
    ids: tuple[str, ...],
    cube: str,
    as_of: datetime | None,
    known_as_of: datetime | None,
) -> None:
    """Show memories by id."""
    with session.memories() as memory:
        for id in ids:
            found = memory.get(id, cube=cube, as_of=as_of, known_as_of=known_as_of)
            _emit_memory(session, found)


def _emit_memory(session: Session, memory: Memory) -> None:
    output.emit(session, memory, lambda: memory_view(memory), brief=[memory.content])


@command("list")
@cube_option
@scope_options
@click.option("--kind", "kinds", type=KINDS, multiple=True, help="May be repeated.")
@click.option(
    "--state",
    "states",
    type=STATES,
    multiple=True,
    default=tuple(state.value for state in LIVE),
    show_default=True,
    help="May be repeated.",
)
@click.option("--filter", type=JsonObject(), help='On metadata: {"topic": {"eq": "work"}}.')
@view_options
@paging_options
@pass_session
def list_(
    session: Session, /, cube: str, kinds: tuple[str, ...], states: tuple[str, ...], **rest: Any
) -> None:
    """List the memories of a cube, a page at a time."""
    with session.memories() as memory:
        page = memory.memories(
            cube=cube,
            kinds=tuple(Kind(kind) for kind in kinds),
            states=tuple(State(state) for state in states),
            **rest,
        )
    output.emit(
        session, page, lambda: memories_view(page.items), brief=[item.id for item in page.items]
    )
    if page.next_cursor:
        output.note(session, f"more: --cursor {page.next_cursor}")


@command("history")
@click.argument("id")
@cube_option
@known_option
@pass_session
def history(session: Session, id: str, cube: str, known_as_of: datetime | None) -> None:
    """Show all versions of a memory, oldest first."""
    with session.memories() as memory:
        versions = memory.history(id, cube=cube, known_as_of=known_as_of)
    rows = [
        (
            version.version,
            output.when(version.changed_at),
            version.operation,
            version.actor,
            version.reason,
            version.memory.content if version.memory else "(erased)",
        )
        for version in versions
    ]
    output.emit(
        session,
        versions,
        lambda: output.table("version", "when", "operation", "by", "reason", "text", rows=rows),
        brief=[f"{row[0]}\t{row[1]}\t{row[2]}" for row in rows],
    )


# Views


def memory_view(memory: Memory) -> Table:
    return output.facts(
        [
            ("id", memory.id),
            ("text", memory.content),
            *(("image", image.caption or image.url) for image in memory.images),
            ("kind", memory.kind.value),
            ("state", memory.state.value),
            ("version", memory.version),
            ("speaker", memory.speaker),
            ("when", output.when(memory.occurred_at)),
            ("place", memory.place),
            ("user", memory.user_id),
            ("agent", memory.agent_id),
            ("session", memory.session_id),
            ("metadata", dict(memory.metadata)),
            ("priority", memory.priority),
            ("expires", output.when(memory.expires_at)),
            ("source", memory.provenance.source),
            ("external id", memory.provenance.external_id),
            ("created", output.when(memory.created_at)),
            ("updated", output.when(memory.updated_at)),
        ]
    )


def memories_view(memories: Iterable[Memory]) -> Table:
    rows = (
        (m.id, output.when(m.occurred_at), m.speaker, m.kind.value, m.state.value, m.content)
        for m in memories
    )
    return output.table("id", "when", "speaker", "kind", "state", "text", rows=rows)


def result_view(result: SearchResult, *, explain: bool) -> RenderableType:
    """The hits as a table, and under it how many were looked at and how long it took."""
    from rich.console import Group
    from rich.text import Text

    took = result.timings_ms.get("total", 0.0)
    foot = f"{len(result.hits)} of {result.considered} memories, {took:.1f} ms"
    parts: list[RenderableType] = [hits_view(result.hits)] if result.hits else []
    if result.summaries:
        parts.append(_summaries_view(result))
    if explain:
        parts += [_explanation(number, hit) for number, hit in enumerate(result.hits, start=1)]
    return Group(*parts, Text(foot, style="dim"))


def hits_view(hits: Iterable[Hit]) -> Table:
    rows = (
        (
            number,
            f"{hit.score:.3f}",
            output.when(hit.memory.occurred_at),
            hit.memory.speaker,
            _words(hit.memory),
            hit.memory.id,
        )
        for number, hit in enumerate(hits, start=1)
    )
    return output.table(
        "#", "score", "when", "speaker", "text", "id", rows=rows, fixed=("#", "score", "when", "id")
    )


def _summaries_view(result: SearchResult) -> Table:
    rows = (
        (one.summary.kind.value, f"{one.score:.3f}", one.summary.text, one.summary.id)
        for one in result.summaries
    )
    return output.table("summary of", "score", "text", "id", rows=rows, fixed=("score", "id"))


def breakdown(hit: Hit) -> str:
    """The parts of a score, largest first."""
    parts = sorted(hit.breakdown, key=lambda part: -abs(part.weighted))
    return ", ".join(f"{part.channel} {part.weighted:+.3f}" for part in parts)


def _explanation(number: int, hit: Hit) -> RenderableType:
    from rich.text import Text

    why = "".join(f"\n   {output.clean(sentence)}" for sentence in hit.why)
    return Text(f"{number}. {breakdown(hit)}{why}")


def _words(memory: Memory) -> str:
    captions = [f"[image: {image.caption}]" for image in memory.images if image.caption]
    return " ".join([memory.content, *captions]).strip()
