"""What the verbs of notes and summaries send and how their answers are read."""

from __future__ import annotations

from datetime import datetime

from memos.client.bodies import (
    Query,
    cube_path,
    given,
    idempotency,
    json_body,
    memory_path,
    paging,
    reader,
    times,
    word,
)
from memos.client.requests.request import Request
from memos.types import Job, Note, Page, Summary, SummaryKind


def note(memory_id: str, *, cube: str, known_as_of: datetime | None) -> Request[Note]:
    return Request(
        method="GET",
        path=f"{memory_path(cube, memory_id)}/note",
        query=times(known_as_of=known_as_of),
        read=reader(Note),
    )


def note_history(memory_id: str, *, cube: str) -> Request[tuple[Note, ...]]:
    return Request(
        method="GET",
        path=f"{memory_path(cube, memory_id)}/note/history",
        read=reader(tuple[Note, ...]),
    )


def undo_note(
    memory_id: str, *, cube: str, reason: str | None, idempotency_key: str
) -> Request[Note]:
    return Request(
        method="POST",
        path=f"{memory_path(cube, memory_id)}/note/undo",
        body=json_body(given({"reason": reason})),
        headers=idempotency(idempotency_key),
        read=reader(Note),
    )


def summaries(
    *,
    kind: SummaryKind | None,
    cube: str,
    known_as_of: datetime | None,
    cursor: str | None,
    limit: int,
) -> Request[Page[Summary]]:
    query: Query = [("kind", word(kind))] if kind is not None else []
    return Request(
        method="GET",
        path=f"{cube_path(cube)}/summaries",
        query=query + times(known_as_of=known_as_of) + paging(cursor, limit),
        read=reader(Page[Summary]),
    )


def summarise(*, cube: str, idempotency_key: str) -> Request[Job]:
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/summarise",
        headers=idempotency(idempotency_key),
        read=reader(Job),
    )
