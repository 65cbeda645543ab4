"""The verbs that read memories without searching: get, list, history, links.

Each reads the present, or what was believed at a time past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from memos.config import Settings
from memos.errors import MemoryNotFound
from memos.protocols import Clock, Stores
from memos.retrieval.filtering.filters import parse_filter
from memos.service import cursors
from memos.service.viewpoint import NOW, Viewpoint
from memos.types import Cube, Kind, Link, Memory, MemoryVersion, Page, State
from memos.validation import check_label, check_limit
from memos.wire import to_json

_SCAN = 500


class Reader:
    def __init__(self, stores: Stores, settings: Settings, *, clock: Clock) -> None:
        self._stores = stores
        self._settings = settings
        self._clock = clock

    def get(self, cube: Cube, memory_id: str, view: Viewpoint = NOW) -> Memory:
        """In any state but erased. MemoryNotFound otherwise, and if it is not in view."""
        found = self._fetch(cube, memory_id, view)
        if found is None or found.state is State.ERASED or not view.happened(found):
            raise _missing(cube, memory_id, view)
        return found

    def _fetch(self, cube: Cube, memory_id: str, view: Viewpoint) -> Memory | None:
        if view.known_as_of is None:
            return self._stores.memories.get(cube.id, [memory_id]).get(memory_id)
        then = self._stores.past.get(cube.id, [memory_id], at=view.known_as_of)
        return then.get(memory_id)

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
        view: Viewpoint = NOW,
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
            [
                *(cube.id, list(kinds), list(states), user_id, agent_id, session_id, filter),
                *(() if view == NOW else (view.as_of, view.known_as_of)),
            ]
        ).decode()
        after = int(cursors.decode(listing, cursor)) if cursor else 0
        now = view.known_as_of or self._clock()
        read: Any = self._stores.memories.page
        if view.known_as_of is not None:
            read = partial(self._stores.past.page, at=view.known_as_of)
        found: list[Memory] = []
        while len(found) <= limit:
            rows = read(
                cube.id,
                after=after,
                limit=_SCAN if wanted or view.as_of else limit + 1,
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
                and view.happened(row)
                and (wanted is None or wanted.matches(row))
            )
        items = tuple(found[:limit])
        more = len(found) > limit
        return Page(
            items=items,
            next_cursor=cursors.encode(listing, str(items[-1].position)) if more else None,
        )

    def history(
        self, cube: Cube, memory_id: str, view: Viewpoint = NOW
    ) -> tuple[MemoryVersion, ...]:
        """Oldest first, those made by then. MemoryNotFound if there was none."""
        versions = self._stores.memories.history(cube.id, memory_id)
        if view.known_as_of is None:
            return versions
        by_then = tuple(one for one in versions if one.changed_at <= view.known_as_of)
        if not by_then:
            raise _missing(cube, memory_id, view)
        return by_then

    def links(self, cube: Cube, memory_id: str, view: Viewpoint = NOW) -> tuple[Link, ...]:
        """Oldest first, in both directions. MemoryNotFound if the memory was not there."""
        self.get(cube, memory_id, view)
        return self._stores.links.of(cube.id, memory_id, known_as_of=view.known_as_of)


def _missing(cube: Cube, memory_id: str, view: Viewpoint) -> MemoryNotFound:
    then = "".join(
        f" {word} {time.isoformat()}"
        for word, time in (("as of", view.as_of), ("as known at", view.known_as_of))
        if time is not None
    )
    return MemoryNotFound(
        f"cube {cube.name!r} has no memory {memory_id!r}{then}", memory_id=memory_id
    )
