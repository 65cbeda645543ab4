"""The verbs of notes and summaries, for the sync client."""

from __future__ import annotations

from datetime import datetime

from memos.client.requests import notes as requests
from memos.client.sync.base import Verbs
from memos.types import Job, Note, Page, Summary, SummaryKind


class NoteVerbs(Verbs):
    """What memories are about, and what several of them tell."""

    def note(
        self, memory_id: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> Note:
        """What a memory is about. NoteNotFound if none was made yet."""
        return self._send(requests.note(memory_id, cube=cube, known_as_of=known_as_of))

    def note_history(self, memory_id: str, *, cube: str = "default") -> tuple[Note, ...]:
        """All revisions of a memory's note, oldest first."""
        return self._send(requests.note_history(memory_id, cube=cube))

    def undo_note(
        self, memory_id: str, *, cube: str = "default", reason: str | None = None
    ) -> Note:
        """Makes the former note the present one again, as a new revision."""
        return self._send(
            requests.undo_note(memory_id, cube=cube, reason=reason, idempotency_key=self._key())
        )

    def summaries(
        self,
        *,
        kind: SummaryKind | None = None,
        cube: str = "default",
        known_as_of: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Summary]:
        """A page of the summaries of sessions, their segments, and communities."""
        return self._send(
            requests.summaries(
                kind=kind, cube=cube, known_as_of=known_as_of, cursor=cursor, limit=limit
            )
        )

    def summarise(self, *, cube: str = "default") -> Job:
        """Queues the making anew of all summaries."""
        return self._send(requests.summarise(cube=cube, idempotency_key=self._key()))
