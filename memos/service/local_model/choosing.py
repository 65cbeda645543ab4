"""Which memories are compiled: those named, found by a search, or of a kind; within a budget.

Knows no model but how it counts tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from memos.activation.opening import canonical, within
from memos.activation.selection import Selection
from memos.errors import InvalidInput, MemoryNotFound, StateConflict
from memos.protocols import Clock, Stores
from memos.retrieval.search import Searcher
from memos.types import LIVE, Cube, Memory, Search, State


class Chooser:
    """`count` tells the tokens of texts; it is asked only for a budget."""

    def __init__(
        self,
        stores: Stores,
        searcher: Searcher,
        count: Callable[[Sequence[str]], list[int]],
        *,
        clock: Clock,
    ) -> None:
        self._stores = stores
        self._searcher = searcher
        self._count = count
        self._clock = clock

    def chosen(self, cube: Cube, wanted: Selection) -> tuple[list[Memory], list[Memory]]:
        """(memories in canonical order, those that the budget leaves out)."""
        found = self._candidates(cube, wanted)
        asked = wanted.memories or wanted.query is not None or wanted.kind is not None
        if asked and not found:
            raise InvalidInput(
                "no memory was found to compile; choose others, or add some first", field="memories"
            )
        if wanted.query is None:
            found = canonical(found)
        left: list[Memory] = []
        if wanted.token_budget is not None and found:
            found, left = within(found, wanted.token_budget, self._count)
            if not found:
                raise InvalidInput(
                    f"token_budget is {wanted.token_budget}, which is less than any of the "
                    f"{len(left)} memories needs; give more",
                    field="token_budget",
                )
        return canonical(found), left

    def _candidates(self, cube: Cube, wanted: Selection) -> list[Memory]:
        now = self._clock()
        if wanted.query is not None:
            search = Search(text=wanted.query, limit=wanted.limit)
            return [hit.memory for hit in self._searcher.search(cube, search).hits]
        if wanted.kind is not None:
            rows = self._stores.memories.page(cube.id, limit=wanted.limit, kinds=[wanted.kind])
            return [m for m in rows if m.expires_at is None or m.expires_at > now]
        ids = list(dict.fromkeys(wanted.memories))
        found = self._stores.memories.get(cube.id, ids)
        for id in ids:
            if id not in found or found[id].state is State.ERASED:
                raise MemoryNotFound(f"cube {cube.name!r} has no memory {id!r}", memory_id=id)
            if found[id].state not in LIVE:
                raise StateConflict(
                    f"memory {id} is {found[id].state.value}; restore it before it is compiled",
                    memory_id=id,
                    state=found[id].state.value,
                )
        return [found[id] for id in ids]
