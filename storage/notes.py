"""Notes in SQL."""

from __future__ import annotations

from memos.protocols import Clock
from memos.storage.engine import Database


class SqlNoteStore:
    """`memos.protocols.NoteStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._db = database
        self._clock = clock
