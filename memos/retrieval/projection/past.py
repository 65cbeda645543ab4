"""The searched form of a cube as it was known at a time past: exact, and held for a while.

It is a projection like the present one, of a feed that tells of each memory as it was then. Those
that have not changed since come as they are; of the others the former text is analysed again, and
its vector taken from what SQL holds of the same text, or made anew. Erased memories never come
back: an erase reaches what is held here with the next search, or at once by `drop`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from memos.protocols import Change, Indexed, PastStore
from memos.retrieval.projection.projection import Followed, Projections
from memos.types import LIVE, Memory
from memos.wire import to_json

MAX_HELD = 4
"""Moments held at once, over all cubes."""

Form = Callable[[str, Sequence[Memory]], Sequence[Indexed]]
"""From a cube's id and memories to their terms and vectors."""


class PastFeed:
    """The part of a change feed that a projection follows, telling of memories as known at `at`."""

    def __init__(self, feed: Followed, past: PastStore, form: Form, at: datetime) -> None:
        self._feed = feed
        self._past = past
        self._form = form
        self._at = at

    def last(self, cube_id: str) -> int:
        return self._feed.last(cube_id)

    def changes(self, cube_id: str, *, after: int, limit: int = 5000) -> list[Change]:
        """As ChangeFeed.changes; what has changed since comes under its newest number."""
        present = self._feed.changes(cube_id, after=after, limit=limit)
        # Asked after the feed was read, so that nothing that changes meanwhile is missed.
        changed = self._past.changed(cube_id, [c.memory_id for c in present], at=self._at)
        live = [m for m in changed.values() if m is not None and m.state in LIVE]
        forms = dict(zip([m.id for m in live], self._form(cube_id, live), strict=True))
        memories = {memory.id: memory for memory in live}
        return [
            change
            if change.memory_id not in changed
            else _then(change.seq, memories[change.memory_id], forms[change.memory_id])
            if change.memory_id in memories
            else replace(change, live=False)
            for change in present
        ]


@dataclass(frozen=True, slots=True)
class _Moment:
    cube_id: str
    at: datetime
    projections: Projections

    def bytes(self) -> int:
        return self.projections.usage()["projection_bytes"]


class PastProjections:
    """Past moments of cubes that searches asked for last. Thread-safe.

    `budget` says how many bytes they may hold together; the least recently used go first, but the
    one in use stays.
    """

    def __init__(
        self, feed: Followed, past: PastStore, form: Form, *, budget: Callable[[], int]
    ) -> None:
        self._feed = feed
        self._past = past
        self._form = form
        self._budget = budget
        self._held: OrderedDict[tuple[str, datetime], _Moment] = OrderedDict()
        self._lock = threading.Lock()

    def at(self, cube_id: str, at: datetime) -> Projections:
        """Projections of which that of `cube_id` is as known at `at`."""
        with self._lock:
            same = self._held.get((cube_id, at))
            others = [] if same else [m for m in self._held.values() if m.cube_id == cube_id]
        found = same or next((other for other in others if self._alike(other, at)), None)
        with self._lock:
            if found is None:
                feed = PastFeed(self._feed, self._past, self._form, at)
                found = _Moment(cube_id, at, Projections(feed, 0))
            found = self._held.setdefault((cube_id, found.at), found)
            self._held.move_to_end((cube_id, found.at))
        return found.projections

    def fit(self) -> None:
        """Lets go of what is beyond the budget, after one of them was loaded."""
        with self._lock:
            while len(self._held) > 1 and (
                len(self._held) > MAX_HELD
                or sum(m.bytes() for m in self._held.values()) > self._budget()
            ):
                self._held.popitem(last=False)

    def drop(self, cube_id: str) -> None:
        """Forgets every past of a cube."""
        with self._lock:
            for key in [key for key in self._held if key[0] == cube_id]:
                del self._held[key]

    def usage(self) -> dict[str, int]:
        """How many moments are held, and their bytes."""
        with self._lock:
            return {
                "past_projections": len(self._held),
                "past_projection_bytes": sum(m.bytes() for m in self._held.values()),
            }

    def _alike(self, moment: _Moment, at: datetime) -> bool:
        """Whether nothing was changed between the two, so that either's view is the other's."""
        first, last = sorted((moment.at, at))
        return self._past.unchanged(moment.cube_id, since=first, until=last)


def _then(seq: int, memory: Memory, form: Indexed) -> Change:
    return Change(
        seq=seq,
        memory_id=memory.id,
        version=memory.version,
        live=True,
        kind=memory.kind.value,
        position=memory.position,
        user_id=memory.user_id,
        agent_id=memory.agent_id,
        session_id=memory.session_id,
        speaker=memory.speaker,
        place=memory.place,
        occurred_at=None if memory.occurred_at is None else memory.occurred_at.timestamp(),
        created_at=memory.created_at.timestamp(),
        expires_at=None if memory.expires_at is None else memory.expires_at.timestamp(),
        priority=memory.priority,
        metadata=to_json(dict(memory.metadata)).decode(),
        terms=form.terms,
        vector=form.vector,
    )
