"""The verbs of what happened by itself: events, follow, explain."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime

from memos.service import cursors
from memos.service.verbs.base import Verbs
from memos.types import Event, Explanation, Page
from memos.validation import check_limit, check_texts

_PART = 200
_PAUSE_SECONDS = 0.1


class EventVerbs(Verbs):
    """explain, events, follow."""

    def explain(
        self, id: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> Explanation:
        """Why a memory, a fact, a summary, a job or an event is as it is. NotFound if the id is
        nobody's."""
        known = self._view(known_as_of=known_as_of).known_as_of
        return self._service.explainer.explain(self._cube(cube), id, known_as_of=known)

    def events(
        self,
        *,
        kinds: Sequence[str] = (),
        cube: str | None = None,
        after: int = 0,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Event]:
        """Events with a `seq` greater than `after`, oldest first. A kind that ends in a dot, such
        as `memory.`, means all that begin so."""
        check_limit("limit", limit, self._service.settings)
        kinds = check_texts("kinds", kinds)
        cube_id = None if cube is None else self._cube(cube).id
        listing = f"events {self.tenant_id} {cube_id} {list(kinds)}"
        place = int(cursors.decode(listing, cursor)) if cursor else after
        rows = self._service.stores.events.page(
            self.tenant_id, after=place, kinds=kinds, cube_id=cube_id, limit=limit + 1
        )
        more = len(rows) > limit
        return Page(
            items=tuple(rows[:limit]),
            next_cursor=cursors.encode(listing, str(rows[limit - 1].seq)) if more else None,
        )

    def follow(
        self,
        *,
        kinds: Sequence[str] = (),
        cube: str | None = None,
        after: int | None = None,
        seconds: float | None = None,
    ) -> Iterator[Event]:
        """Events as they happen: those with a `seq` greater than `after` (None: from now on), for
        ever or for `seconds`."""
        place = self._service.stores.events.last(self.tenant_id) if after is None else after
        part = min(_PART, self._service.settings.max_limit)
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            page = self.events(kinds=kinds, cube=cube, after=place, limit=part)
            for event in page.items:
                place = event.seq
                yield event
            if page.items:
                continue
            if deadline is not None and time.monotonic() >= deadline:
                return
            time.sleep(_PAUSE_SECONDS)
