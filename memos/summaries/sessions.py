"""A summary of each session: its most telling turns in order.

Sessions of the same name that belong to different users are summarised apart, so that no text is
made of two users' words. A summary is of the turns it quotes: it goes when one of them is
forgotten, and is made anew by the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from memos.protocols import Clock, NewId, Stores
from memos.retrieval.projection import Projections
from memos.summaries.extractive import length_of
from memos.summaries.passages import days, line, passages
from memos.types import Cube, Memory, State, Summary, SummaryKind

METHOD = "lexrank-1"
_PAGE = 1000
_PART = 8
"""Sessions whose summaries are stored in one transaction."""
_FEWEST = 3
"""A session of fewer turns is its own summary."""


class SessionSummaries:
    def __init__(
        self, stores: Stores, projections: Projections, *, clock: Clock, new_id: NewId
    ) -> None:
        self._stores = stores
        self._projections = projections
        self._clock = clock
        self._new_id = new_id

    def make(
        self,
        cube: Cube,
        session_ids: Sequence[str] | None = None,
        *,
        beat: Callable[[float], None] = lambda progress: None,
    ) -> int:
        """Makes the summaries of these sessions anew, or of all; the store keeps those that come
        out as they were. Answers how many are stored now for them."""
        sessions = self._all(cube) if session_ids is None else session_ids
        made = 0
        for start in range(0, len(sessions), _PART):
            part = sessions[start : start + _PART]
            new = [one for session_id in part for one in self._summaries(cube, session_id)]
            self._stores.summaries.replace(cube.id, SummaryKind.SESSION, new, keys=part)
            made += len(new)
            beat(start / len(sessions))
        return made

    def _all(self, cube: Cube) -> list[str]:
        """Sessions of live memories, and those that have a summary, in order of their names."""
        with self._projections.fresh(cube.id) as projection:
            factor = projection.columns.texts["session_id"]
            size = projection.columns.size
            codes = set(factor.codes[:size][projection.columns.live[:size]].tolist())
            found = {factor.values[code] for code in codes if code}
        return sorted(found | {old.key for old in self._stored(cube)})

    def _stored(self, cube: Cube) -> Iterator[Summary]:
        after: str | None = None
        while rows := self._stores.summaries.page(
            cube.id, SummaryKind.SESSION, after=after, limit=_PAGE
        ):
            yield from rows
            after = rows[-1].id

    def _summaries(self, cube: Cube, session_id: str) -> Iterator[Summary]:
        users: dict[str | None, list[Memory]] = {}
        for memory in self._turns(cube, session_id):
            users.setdefault(memory.user_id, []).append(memory)
        for user in sorted(users, key=lambda name: name or ""):
            summary = self._summary(cube, session_id, users[user])
            if summary is not None:
                yield summary

    def _turns(self, cube: Cube, session_id: str) -> Iterator[Memory]:
        after, now = 0, self._clock()
        while rows := self._stores.memories.page(
            cube.id,
            after=after,
            limit=_PAGE,
            states=(State.ACTIVATED,),
            session_id=session_id,
        ):
            after = rows[-1].position
            yield from (m for m in rows if m.expires_at is None or m.expires_at > now)

    def _summary(self, cube: Cube, session_id: str, turns: Sequence[Memory]) -> Summary | None:
        if len(turns) < _FEWEST:
            return None
        memories, said = passages(self._projections, cube.id, turns).chosen(length_of(len(turns)))
        if not memories:
            return None
        lines = "\n".join(map(line, memories, said))
        return Summary(
            id=self._new_id(),
            cube_id=cube.id,
            kind=SummaryKind.SESSION,
            key=session_id,
            text=f"{days(memories)}\n{lines}",
            memory_ids=tuple(memory.id for memory in memories),
            entity_ids=(),
            method=METHOD,
            created_at=self._clock(),
        )
