"""Which live memory stands for one that was merged or superseded, by way of others perhaps.

Reads lineage from the store and changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from memos.protocols import Deed, KeepingStore
from memos.types import Lineage, Relation

_PAGE = 2000


@dataclass(frozen=True, slots=True)
class Way:
    """From a memory to the live one that stands for it, None if there is none; `ended` if
    something on the way was superseded, rather than merged with what says the same."""

    head: str | None
    ended: bool


def ways(
    store: KeepingStore,
    cube_id: str,
    ids: set[str],
    live: Collection[str],
    deeds: Sequence[Deed] = (),
) -> dict[str, Way]:
    """Where each of `ids` leads, by what was done before and by the deeds to be done now; `live`
    are those that stand by themselves."""
    up = {
        one.source_id: one
        for deed in deeds
        for one in deed.lineage
        if one.relation is not Relation.MADE_FROM
    }
    asked: set[str] = set()
    todo = _next(ids, up, live, asked)
    while todo:
        asked |= todo
        listed, found = sorted(todo), {}
        for start in range(0, len(listed), _PAGE):
            for one in store.lineage(cube_id, listed[start : start + _PAGE]):
                if one.source_id in todo and one.relation is not Relation.MADE_FROM:
                    found[one.source_id] = one  # of several the last
        up.update(found)
        todo = _next(ids | {one.derived_id for one in up.values()}, up, live, asked)
    return {id: _way(id, up, live) for id in ids}


def _next(
    ids: set[str], up: Mapping[str, Lineage], live: Collection[str], asked: set[str]
) -> set[str]:
    return {id for id in ids if id not in live and id not in up and id not in asked}


def _way(id: str, up: Mapping[str, Lineage], live: Collection[str]) -> Way:
    ended = False
    for _ in range(len(up) + 1):
        if id in live:
            return Way(id, ended)
        one = up.get(id)
        if one is None:
            break
        ended |= one.relation is Relation.SUPERSEDED
        id = one.derived_id
    return Way(None, ended)
