"""`memos demo`: the whole path once, on a server of its own that is gone afterwards.

Starts `memos serve` on a free port and a temporary folder, adds the sample conversation over REST,
asks four questions and fails unless the turns that answer them are found. Then it tells twice where
somebody lives, and asks where that was as of two dates.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.resources import files
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from memos.cli import output
from memos.cli.graph_views import facts_view, said_object
from memos.cli.options import command
from memos.cli.reading import breakdown, hits_view
from memos.cli.session import Session, pass_session
from memos.errors import ServiceUnavailable
from memos.types import Hit, Image, Message, NewMemory, Provenance, Role, SearchResult

if TYPE_CHECKING:
    from memos.client import Client

QUESTIONS = (
    "Who teaches Nadia's pottery class?",
    "What colours did Nadia choose for the boat?",
    "When did Leila get married?",
    "Would Nadia enjoy visiting Oskar's hives?",
)
SHOWN = 5
# Who moves, told in two turns, and where she lived as of two dates.
MOVE = (
    Message(
        speaker="Ines", content="I live in Porto.", at=datetime(2022, 5, 1, tzinfo=timezone.utc)
    ),
    Message(
        speaker="Ines",
        content="I moved to Lisbon last month.",
        at=datetime(2024, 4, 10, tzinfo=timezone.utc),
    ),
)
HOMES = (
    (datetime(2023, 1, 1, tzinfo=timezone.utc), "Porto"),
    (datetime(2024, 6, 1, tzinfo=timezone.utc), "Lisbon"),
)
_START_SECONDS = 120.0
_STOP_SECONDS = 20.0
_READ_SECONDS = 120.0
# The demo must not touch a user's own service, so that only settings of the model are passed on.
_KEPT = ("MEMOS_EMBEDDING_", "MEMOS_OFFLINE", "MEMOS_LOG_LEVEL")


@dataclass(frozen=True, slots=True)
class Question:
    """A question about the conversation, and the turns that answer it."""

    text: str
    answer: str
    evidence: frozenset[str]


@command("demo")
@pass_session
def demo(session: Session) -> None:
    """Start a server, add a conversation, ask four questions and two dates, stop the server."""
    conversation, questions = sample()
    with tempfile.TemporaryDirectory(prefix="memos-demo-") as folder:
        if not share_models(Path(folder) / "data", session.settings().data_dir / "models"):
            _say(session, "The first start exports the embedding model, once; it is kept.")
        _say(session, "Starting a service on a temporary folder …")
        started = time.monotonic()
        with server(Path(folder)) as (url, admin_key):
            _say(session, f"{url} answers after {time.monotonic() - started:.1f} s.\n")
            found, homes = _talk(session, url, admin_key, conversation, questions)
    _say(session, f"The service is stopped and {folder} is deleted.")
    missed = [q.text for q, hit in zip(questions, found, strict=True) if not hit]
    if missed:
        raise click.ClickException(
            f"among the first {SHOWN} hits were no turns that answer: {'; '.join(missed)}"
        )
    if homes != [home for _, home in HOMES]:
        raise click.ClickException(f"as of the two dates Ines lived in {homes}")
    _say(
        session,
        f"All {len(found)} questions found a turn that answers them, and both dates their fact.",
    )


def _talk(
    session: Session,
    url: str,
    admin_key: str,
    conversation: list[NewMemory],
    questions: list[Question],
) -> tuple[list[bool], list[str]]:
    from memos.client import Client

    with Client(url, api_key=admin_key) as admin:
        secret = admin.create_key("demo", role=Role.WRITER).secret
    with Client(url, api_key=secret) as client:
        _add(session, client, conversation)
        found = [_ask(session, client, question) for question in questions]
        return found, _move(session, client)


def _add(session: Session, client: Client, conversation: list[NewMemory]) -> None:
    started = time.monotonic()
    with output.progress(session) as bar:
        task = bar.add_task("adding", total=len(conversation))
        for part in client.add_batch(conversation, batch_size=32):
            bar.update(task, completed=part.done)
    took = time.monotonic() - started
    sessions = len({memory.session_id for memory in conversation})
    _say(
        session,
        f"POST /v1/cubes/default/memories: {len(conversation)} turns of {sessions} sessions in"
        f" {took:.1f} s; all are durable and searchable.\n",
    )


def _ask(session: Session, client: Client, question: Question) -> bool:
    result = client.search(question.text, limit=SHOWN, explain=True)
    right = [hit for hit in result.hits if hit.memory.provenance.external_id in question.evidence]
    if session.json:
        output.emit_json({"question": question.text, "found": bool(right), "result": result})
    elif not session.quiet:
        _show(question, result, right)
    return bool(right)


def _show(question: Question, result: SearchResult, right: list[Hit]) -> None:
    from rich.text import Text

    console = output.console()
    timings = result.timings_ms
    console.print(Text(f"? {question.text}", style="bold"))
    console.print(hits_view(result.hits))
    for hit in right:
        place = result.hits.index(hit) + 1
        console.print(Text(f"✓ hit {place} answers it: {question.answer}", style="green"))
        console.print(Text(f"  its score: {breakdown(hit)}", style="dim"))
    if not right:
        console.print(Text(f"✗ none of these answers it: {question.answer}", style="red"))
    console.print(
        Text(
            f"  {result.considered} memories in {timings.get('total', 0.0):.1f} ms, of them"
            f" {timings.get('embed', 0.0):.1f} ms for the query's vector\n",
            style="dim",
        )
    )


def _move(session: Session, client: Client) -> list[str]:
    """Tells of the move and asks for the home as of each date: the homes answered."""
    for turn in MOVE:
        _say(session, f'{turn.speaker}, {output.when(turn.at)[:10]}: "{turn.content}"')
    started = time.monotonic()
    for job in client.add(list(MOVE), session_id="move").enriching:
        client.wait_for(job, timeout=_READ_SECONDS)
    _say(session, f"The facts of all turns are read after {time.monotonic() - started:.1f} s.\n")
    homes = []
    for as_of, _ in HOMES:
        page = client.facts(subject="Ines", predicate="lives_in", as_of=as_of)
        homes += [said_object(fact) for fact in page.items]
        if session.json:
            output.emit_json({"as_of": as_of, "facts": page})
        elif not session.quiet:
            console = output.console()
            console.print(f"? Where did Ines live on {as_of:%Y-%m-%d}?", style="bold")
            console.print(facts_view(page.items))
            for fact in page.items:
                console.print(output.clean("\n".join(client.why(fact.id).text)), style="dim")
            console.print()
    return homes


def _say(session: Session, message: str) -> None:
    if not session.json and not session.quiet:
        click.echo(message)


# The server


def share_models(data: Path, models: Path) -> bool:
    """Lets the temporary folder use and fill the user's own folder of exported models, so that the
    work is done once and not for each demo. Whether there were any."""
    data.mkdir(parents=True)
    try:
        models.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = any(models.glob("*/model.onnx"))
    except OSError:
        known = False
    if not os.access(models, os.W_OK):
        return False  # the demo keeps its export to itself
    (data / "models").symlink_to(models, target_is_directory=True)
    return known


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, str]]:
    """A service in a process of its own, stopped at the end; its URL and first admin key."""
    log = folder / "server.log"
    command_line = [sys.executable, "-m", "memos.cli", "serve", "--json", "--port", "0"]
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [*command_line, "--data-dir", str(folder / "data")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(os.environ),
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = _first_line(process.stdout, _START_SECONDS)
            if not line:
                raise ServiceUnavailable(f"the service did not start: {_tail(log)}")
            ready = json.loads(line)
            yield ready["url"], ready["first_key"]["secret"]
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
    if process.returncode != 0:
        raise ServiceUnavailable(
            f"the service ended with exit code {process.returncode} instead of stopping in order"
        )


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith("MEMOS_") or name.startswith(_KEPT)
    }


def _first_line(stream: IO[bytes], seconds: float) -> bytes:
    """The first line a process prints; empty if it ends or takes longer without one."""
    ready, _, _ = select.select([stream], [], [], seconds)
    return stream.readline() if ready else b""


def _tail(log: Path) -> str:
    lines = log.read_text("utf-8", errors="replace").strip().splitlines()
    return " ".join(lines[-5:]) or f"it said nothing for {_START_SECONDS:g} s"


# The conversation, in LoCoMo's format


def sample() -> tuple[list[NewMemory], list[Question]]:
    """The turns of the shipped conversation, and the demo's questions about it."""
    text = (files("memos") / "data" / "sample_conversation.json").read_text("utf-8")
    parsed = json.loads(text)[0]
    asked = {question["question"]: question for question in parsed["qa"]}
    questions = [
        Question(
            text=text,
            answer=str(asked[text]["answer"]),
            evidence=frozenset(re.findall(r"D\d+:\d+", " ".join(asked[text]["evidence"]))),
        )
        for text in QUESTIONS
    ]
    return list(_turns(parsed["conversation"])), questions


def _turns(conversation: Mapping[str, Any]) -> Iterator[NewMemory]:
    number = 1
    while f"session_{number}" in conversation:
        name = f"session_{number}"
        at = datetime.strptime(conversation[f"{name}_date_time"], "%I:%M %p on %d %B, %Y")
        for turn in conversation[name]:
            yield NewMemory(
                content=turn["text"],
                session_id=name,
                speaker=turn["speaker"],
                occurred_at=at.replace(tzinfo=timezone.utc),
                images=_images(turn),
                provenance=Provenance(source="import", external_id=turn["dia_id"]),
            )
        number += 1


def _images(turn: Mapping[str, Any]) -> tuple[Image, ...]:
    # A turn's `query` is what its picture was searched with; it gives answers away.
    caption = turn.get("blip_caption")
    return (Image(caption=caption),) if caption else ()
