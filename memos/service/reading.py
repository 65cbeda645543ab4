"""The verbs that read memories without searching: get, list, history, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memos.config import Settings
from memos.errors import MemoryNotFound
from memos.protocols import Clock, Stores
from memos.retrieval.filters import parse_filter
from memos.service import cursors
from memos.types import Cube, Kind, Link, Memory, MemoryVersion, Page, State
from memos.validation import check_label, check_limit
from memos.wire import to_json

_SCAN = 500


class Reader:
    def __init__(self, stores: Stores, settings: Settings, *, clock: Clock) -> None:
        self._stores = stores
        self._settings = settings
        self._clock = clock

    def get(self, cube: Cube, memory_id: str) -> Memory:
        """In any state but erased. MemoryNotFound otherwise."""
        found = self._stores.memories.get(cube.id, [memory_id]).get(memory_id)
        if found is None or found.state is State.ERASED:
            raise MemoryNotFound(
                f"cube {cube.name!r} has no memory {memory_id!r}", memory_id=memory_id
            )
        return found

    def page(
        self,
        cube: Cube,
        *,
        kinds: Sequence[Kind],
        states: Sequence[State],
        user_id: str | None,
        agent_id: str | None,
        session_id: str | None,
        filter: Mapping[str, Any] | None,
        cursor: str | None,
        limit: int,
    ) -> Page[Memory]:
        """In order of arrival. Memories past their expiry are left out."""
        check_limit("limit", limit, self._settings)
        for name, value in (
            ("user_id", user_id),
            ("agent_id", agent_id),
            ("session_id", session_id),
        ):
            check_label(name, value)
        wanted = None if filter is None else parse_filter(filter)
        listing = to_json(
            [cube.id, list(kinds), list(states), user_id, agent_id, session_id, filter]
        ).decode()
        after = int(cursors.decode(listing, cursor)) if cursor else 0
        now = self._clock()
        found: list[Memory] = []
        while len(found) <= limit:
            rows = self._stores.memories.page(
                cube.id,
                after=after,
                limit=_SCAN if wanted else limit + 1,
                states=states,
                kinds=kinds,
                user_id=user_id,
                agent_id=agent_id,
                session_id=session_id,
            )
            if not rows:
                break
            after = rows[-1].position
            found.extend(
                row
                for row in rows
                if (row.expires_at is None or row.expires_at > now)
                and (wanted is None or wanted.matches(row))
            )
        items = tuple(found[:limit])
        more = len(found) > limit
        return Page(
            items=items,
            next_cursor=cursors.encode(listing, str(items[-1].position)) if more else None,
        )

    def history(self, cube: Cube, memory_id: str) -> tuple[MemoryVersion, ...]:
        return self._stores.memories.history(cube.id, memory_id)

    def links(self, cube: Cube, memory_id: str) -> tuple[Link, ...]:
        self.get(cube, memory_id)
        return self._stores.links.of(cube.id, memory_id)
