"""The verbs of notes and summaries."""

from __future__ import annotations

from datetime import datetime

from memos.service.verbs.base import Verbs
from memos.types import Job, Note, Page, Summary, SummaryKind
from memos.validation import check_text, to_member


class NoteVerbs(Verbs):
    """note, note_history, undo_note, summaries, summarise."""

    def note(
        self, memory_id: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> Note:
        """What a memory is about. NoteNotFound if none was made yet."""
        known = self._view(known_as_of=known_as_of).known_as_of
        return self._service.notes.note(self._cube(cube), memory_id, known_as_of=known)

    def note_history(self, memory_id: str, *, cube: str = "default") -> tuple[Note, ...]:
        """All revisions of a memory's note, oldest first."""
        return self._service.notes.note_history(self._cube(cube), memory_id)

    def undo_note(
        self, memory_id: str, *, cube: str = "default", reason: str | None = None
    ) -> Note:
        """Makes the former note the present one again, as a new revision."""
        if reason is not None:
            check_text("reason", reason)
        return self._service.notes.undo_note(self._cube(cube), memory_id, reason=reason)

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
        return self._service.notes.summaries(
            self._cube(cube),
            kind=None if kind is None else to_member("kind", kind, SummaryKind),
            known_as_of=self._view(known_as_of=known_as_of).known_as_of,
            cursor=cursor,
            limit=limit,
        )

    def summarise(self, *, cube: str = "default") -> Job:
        """Queues the making anew of all summaries."""
        return self._queued(self._service.enriching.summarise(self._cube(cube)))
