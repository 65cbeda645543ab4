"""The verbs of what happened by itself: events, explain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from memos.service import cursors
from memos.service.verbs import Verbs
from memos.types import Event, Explanation, Page
from memos.validation import check_label, check_limit


class EventVerbs(Verbs):
    """explain, events."""

    def explain(
        self, id: str, *, cube: str = "default", known_as_of: datetime | None = None
    ) -> Explanation:
        """Why a memory, a fact, a job or an event is as it is. NotFound if the id is nobody's."""
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
        for kind in kinds:
            check_label("kinds", kind)
        cube_id = None if cube is None else self._cube(cube).id
        listing = f"events {self.tenant_id} {cube_id} {list(kinds)}"
        place = int(cursors.decode(listing, cursor)) if cursor else after
        rows = self._service.stores.events.page(
            self.tenant_id, after=place, kinds=tuple(kinds), cube_id=cube_id, limit=limit + 1
        )
        more = len(rows) > limit
        return Page(
            items=tuple(rows[:limit]),
            next_cursor=cursors.encode(listing, str(rows[limit - 1].seq)) if more else None,
        )
