"""Notes and summaries as callers see them, and the work of the job `notes`.

Knows stores, projections and how notes are drafted; not when the job runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from memos.config import Settings
from memos.errors import MemoryNotFound, NoteNotFound, StateConflict
from memos.notes import evolution
from memos.notes.drafting import Drafter, Drafts
from memos.notes.surroundings import Neighbourhood
from memos.notes.topics import Topics
from memos.protocols import Clock, Embedder, NewId, Stores
from memos.retrieval.projection.projection import Projections
from memos.service import cursors
from memos.types import LIVE, Cube, Memory, Note, Page, State, Summary, SummaryKind
from memos.validation import check_limit


class Notes:
    """The embedder is asked for the vectors of the topics only, once; those of memories are read
    from `projections`."""

    def __init__(
        self,
        stores: Stores,
        projections: Projections,
        embedder: Embedder,
        settings: Settings,
        *,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._stores = stores
        self._settings = settings
        self._clock = clock
        topics = Topics(embedder)
        self._drafter = Drafter(
            stores, Neighbourhood(projections, topics), topics, clock=clock, new_id=new_id
        )

    def draft(self, cube: Cube, memories: Sequence[Memory]) -> Drafts:
        """Writes notes and links of memories that have none of their present text, and what these
        change in notes of others, in one transaction. Doing it twice does no harm. `Drafts.wait`
        are those that have no vector yet and must come again."""
        made = self._drafter.draft(cube, memories)
        if made.notes or made.links or made.relinked:
            self._stores.notes.put(cube.id, made.notes, links=made.links, relinked=made.relinked)
        return made

    def forgotten(self, cube: Cube, memory_id: str) -> tuple[Note, ...]:
        """After a memory was forgotten: notes that it changed are again what they were before."""
        at = self._clock()
        found: list[Note] = []
        for note in self._stores.notes.caused_by(cube.id, memory_id):
            history = self._stores.notes.history(cube.id, note.memory_id)
            before = evolution.without(history, memory_id, self._counting(cube, history))
            if before is not None:
                found.append(evolution.restored(before, at=at, method=evolution.WITHDRAWN))
        return self._stores.notes.put(cube.id, found) if found else ()

    def note(self, cube: Cube, memory_id: str, *, known_as_of: datetime | None = None) -> Note:
        """The present note, or the one believed at `known_as_of`. MemoryNotFound; NoteNotFound if
        none was drafted (by then)."""
        self._check_memory(cube, memory_id)
        found = self._stores.notes.get(cube.id, [memory_id], known_as_of=known_as_of)
        if memory_id not in found:
            raise self._missing(memory_id)
        return found[memory_id]

    def note_history(self, cube: Cube, memory_id: str) -> tuple[Note, ...]:
        """All revisions, oldest first. MemoryNotFound; NoteNotFound if none was drafted."""
        self._check_memory(cube, memory_id)
        history = self._stores.notes.history(cube.id, memory_id)
        if not history:
            raise self._missing(memory_id)
        return history

    def undo_note(self, cube: Cube, memory_id: str, *, reason: str | None = None) -> Note:
        """Takes the last change of a note back, as one more revision; again, the one before it.

        The cause of what was taken back will not change this note again. StateConflict if the note
        is as it was drafted first.
        """
        history = self.note_history(cube, memory_id)
        before = evolution.former(history, self._counting(cube, history))
        if before is None:
            raise StateConflict(
                f"the note of {memory_id!r} has no earlier form; it is as first drafted",
                memory_id=memory_id,
            )
        note = evolution.restored(before, at=self._clock(), method=evolution.UNDONE, reason=reason)
        stored = self._stores.notes.put(cube.id, [note])
        if not stored:
            raise self._missing(memory_id)
        return stored[0]

    def summaries(
        self,
        cube: Cube,
        *,
        kind: SummaryKind | None = None,
        known_as_of: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Summary]:
        """By id: those of sessions, of communities, or all."""
        check_limit("limit", limit, self._settings)
        listing = f"summaries {cube.id} {kind} {known_as_of}"
        after = cursors.decode(listing, cursor) if cursor else None
        rows = self._stores.summaries.page(
            cube.id, kind, known_as_of=known_as_of, after=after, limit=limit + 1
        )
        more = len(rows) > limit
        return Page(
            items=tuple(rows[:limit]),
            next_cursor=cursors.encode(listing, rows[limit - 1].id) if more else None,
        )

    def _counting(self, cube: Cube, history: Sequence[Note]) -> Callable[[str], bool]:
        causes = sorted({note.cause for note in history if note.cause is not None})
        found = self._stores.memories.get(cube.id, causes)
        live = {id for id, memory in found.items() if memory.state in LIVE}
        return live.__contains__

    def _check_memory(self, cube: Cube, memory_id: str) -> None:
        found = self._stores.memories.get(cube.id, [memory_id]).get(memory_id)
        if found is None or found.state is State.ERASED:
            raise MemoryNotFound(
                f"cube {cube.name!r} has no memory {memory_id!r}", memory_id=memory_id
            )

    def _missing(self, memory_id: str) -> NoteNotFound:
        return NoteNotFound(
            f"memory {memory_id!r} has no note (yet); notes are drafted by a job after `add`",
            memory_id=memory_id,
        )
