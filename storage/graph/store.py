"""The graph in SQL: `memos.protocols.GraphStore`, put together from the modules beside it."""

from __future__ import annotations

from memos.protocols import Clock, Derivation, NewId
from memos.storage.engine import Database


class SqlGraphStore:
    """`memos.protocols.GraphStore`."""

    def __init__(
        self, database: Database, *, derivation: Derivation, new_id: NewId, clock: Clock
    ) -> None:
        self._db = database
        self._derivation = derivation
        self._new_id = new_id
        self._clock = clock
