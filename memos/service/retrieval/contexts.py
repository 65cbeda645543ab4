"""`context`: what to put before an agent, out of all tiers, as it is or as it was known.

Knows where each tier is read; how it is cut and packed is `memos.tiers`'.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from memos.errors import InvalidInput
from memos.protocols import Clock, Embedder, Stores
from memos.retrieval.projection.projection import Projections
from memos.service.memories.reading import Reader
from memos.service.viewpoint import NOW, Viewpoint
from memos.summaries.sessions import KINDS as SESSION_KINDS
from memos.tiers.packing import Group, packed
from memos.tiers.segments import segments
from memos.types import (
    COUNTED,
    LIVE,
    Context,
    Cube,
    Kind,
    Memory,
    Policy,
    SearchResult,
    Segment,
    Summary,
    SummaryKind,
)

if TYPE_CHECKING:
    from memos.protocols import Vector

_STANDING = (Kind.CORE, Kind.PROCEDURAL)
_MOST_STANDING = 200
_HITS = 20
_SESSIONS = 5
_SEGMENTS = 4
_PAGE = 500
_MOST_SUMMARIES = 1000
_MOST_TURNS = 2000
"""Of a session; of a longer one the last so many are looked at."""


class Contexts:
    """For all tenants. `most`: memories that one page may have."""

    def __init__(
        self,
        stores: Stores,
        reader: Reader,
        projections: Projections,
        embedder: Embedder,
        *,
        clock: Clock,
        most: int,
    ) -> None:
        self._stores = stores
        self._most = most
        self._reader = reader
        self._projections = projections
        self._embedder = embedder
        self._clock = clock

    def context(
        self,
        cube: Cube,
        found: SearchResult | None,
        *,
        user_id: str | None,
        agent_id: str | None,
        session_id: str | None,
        token_budget: int,
        view: Viewpoint,
    ) -> Context:
        """`found` are the hits of the question, if there is one."""
        if token_budget < 1:
            raise InvalidInput(
                f"token_budget is {token_budget}; the minimum is 1", field="token_budget"
            )
        policy = self._stores.keeping.policy(cube.id) or Policy()
        scope = {"user_id": user_id, "agent_id": agent_id}
        hits = [hit.memory for hit in found.hits] if found else []
        turns = self._turns(cube, session_id, view, **scope) if session_id else []
        recent = turns[len(turns) - min(len(turns), policy.short_term_turns) :]
        earlier = self._segments(cube, hits, session_id, turns[: len(turns) - len(recent)], view)
        told = self._summaries(cube, {session_id, *(one.session_id for one in earlier)}, view)
        return packed(
            {
                "recent": _each(reversed(recent)),
                "profile": _each(self._standing(cube, view, scope)),
                "known": _each(hits),
                "earlier": [_group(one.memories, told) for one in earlier],
            },
            token_budget,
            self._embedder.count_tokens,
            session=_group(turns, [s for s in told if s.kind is SummaryKind.SESSION]),
        )

    def segments(
        self, cube: Cube, session_id: str, view: Viewpoint, *, user_id: str | None
    ) -> tuple[Segment, ...]:
        """The pages of one session, in its order."""
        turns = self._turns(cube, session_id, view, user_id=user_id, agent_id=None)
        return tuple(self._cut(cube, turns))

    def pages(self, cube: Cube, session_id: str) -> tuple[Segment, ...]:
        """The segments of a session, of each user's turns apart."""
        turns = self._turns(cube, session_id, NOW, user_id=None, agent_id=None)
        users: dict[str | None, list[Memory]] = {}
        for memory in turns:
            users.setdefault(memory.user_id, []).append(memory)
        return tuple(segment for mine in users.values() for segment in self._cut(cube, mine))

    def _standing(self, cube: Cube, view: Viewpoint, scope: dict[str, Any]) -> list[Memory]:
        """Core memories, then procedural ones."""
        found: list[Memory] = []
        for kind in _STANDING:
            page = self._reader.page(
                cube,
                kinds=(kind,),
                states=LIVE,
                session_id=None,
                filter=None,
                cursor=None,
                limit=min(_MOST_STANDING, self._most),
                view=view,
                **scope,
            )
            found += page.items
        return found

    def _turns(
        self,
        cube: Cube,
        session_id: str,
        view: Viewpoint,
        *,
        user_id: str | None,
        agent_id: str | None,
    ) -> list[Memory]:
        turns: list[Memory] = []
        cursor = None
        while True:
            page = self._reader.page(
                cube,
                kinds=(),
                states=tuple(COUNTED),
                user_id=user_id,
                agent_id=agent_id,
                session_id=session_id,
                filter=None,
                cursor=cursor,
                limit=min(_PAGE, self._most),
                view=view,
            )
            turns = [*turns, *page.items][-_MOST_TURNS:]
            cursor = page.next_cursor
            if cursor is None:
                return turns

    def _segments(
        self,
        cube: Cube,
        hits: Sequence[Memory],
        session_id: str | None,
        overflow: Sequence[Memory],
        view: Viewpoint,
    ) -> list[Segment]:
        """Those around hits of other sessions, and of this one what its last turns pushed out; the
        hottest first."""
        wanted = {memory.id for memory in hits}
        sessions = dict.fromkeys(
            (memory.session_id, memory.user_id)
            for memory in hits
            if memory.session_id is not None and memory.session_id != session_id
        )
        found = self._cut(cube, overflow)
        for name, user in list(sessions)[:_SESSIONS]:
            turns = self._turns(cube, name, view, user_id=user, agent_id=None)
            found += [
                segment
                for segment in self._cut(cube, turns)
                if any(memory.id in wanted for memory in segment.memories)
            ]
        found.sort(key=lambda one: (-one.heat, one.memories[0].position))
        return found[:_SEGMENTS]

    def _summaries(
        self, cube: Cube, session_ids: Collection[str | None], view: Viewpoint
    ) -> list[Summary]:
        """Of these sessions and their segments, as they were known then."""
        keys = sorted(id for id in session_ids if id)
        if not keys:
            return []
        return [
            summary
            for kind in SESSION_KINDS
            for summary in self._stores.summaries.page(
                cube.id, kind, keys=keys, known_as_of=view.known_as_of, limit=_MOST_SUMMARIES
            )
        ]

    def _cut(self, cube: Cube, turns: Sequence[Memory]) -> list[Segment]:
        if not turns:
            return []
        uses = self._stores.keeping.uses(cube.id, [memory.id for memory in turns])
        return segments(turns, self.vectors(cube, turns), uses, now=self._clock())

    def vectors(self, cube: Cube, turns: Sequence[Memory]) -> Vector:
        """(n, dimensions), zeros where there is none, as of merged turns."""
        with self._projections.fresh(cube.id) as projection:
            has = projection.vectors.has
            rows = [projection.row(memory.id) for memory in turns]
            there = [n for n, row in enumerate(rows) if row is not None and has[row]]
            found = projection.vectors.take(np.array([rows[n] for n in there], np.int64))
        vectors = np.zeros((len(turns), found.shape[1]), np.float32)
        vectors[there] = found
        return vectors


def _each(memories: Iterable[Memory]) -> list[Group]:
    return [Group((memory,)) for memory in memories]


def _group(turns: Sequence[Memory], summaries: Sequence[Summary]) -> Group:
    """These turns, and the summary that tells most of them and of nothing else: so it is nobody
    else's, and of no other time than the turns are."""

    def told(summary: Summary) -> tuple[int, bool]:
        return len(summary.memory_ids), summary.kind is SummaryKind.SEGMENT

    ids = {memory.id for memory in turns}
    inside = [one for one in summaries if ids.issuperset(one.memory_ids)]
    return Group(tuple(turns), max(inside, key=told, default=None))
