"""The plan of a consolidation: which memories are merged, retired, and made, and why.

Reads the store through one protocol and changes nothing. What is planned are deeds: each names the
versions that it was planned for, so that a memory changed meanwhile is left alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from memos.consolidation.families import Family, covered, families
from memos.consolidation.made import MADE_BY, SOURCE
from memos.consolidation.outdated import line, outdated, retirement
from memos.consolidation.overruled import overruled
from memos.consolidation.recurrence import Recurring, recurring
from memos.consolidation.standing import ways
from memos.protocols import Clock, Deed, Ended, Held, KeepingStore, Move, Said
from memos.types import ActionKind, Cube, Kind, Policy, Relation, State

if TYPE_CHECKING:
    from memos.protocols import Vector

_PAGE = 2000
_MERGED_KINDS = frozenset({Kind.EPISODIC, Kind.SEMANTIC, Kind.PROCEDURAL, Kind.CORE})
_LEAST_COVERED = 0.6
"""Share of a text that ended facts must cover before the memory is retired with them."""


@dataclass(frozen=True, slots=True)
class Consolidation:
    """What was found. `made` are to be embedded and stored; deeds of merging come first."""

    looked_at: int
    bytes_before: int
    deeds: tuple[Deed, ...]
    made: tuple[Recurring, ...]
    held: tuple[Held, ...]
    bytes_of: Mapping[str, int] = field(default_factory=dict)

    def bytes_after(self) -> int:
        """Of live memories, those to be made not counted."""
        gone = {move.memory_id for deed in self.deeds for move in deed.moves}
        return self.bytes_before - sum(self.bytes_of[id] for id in gone)


@dataclass(frozen=True, slots=True)
class _Retired:
    """How a memory that is over is retired, which one stands for it, and since when it is over."""

    deed: Deed
    about: str
    at: datetime


class Planner:
    def __init__(self, store: KeepingStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def plan(
        self, cube: Cube, policy: Policy, *, beat: Callable[[], object] = lambda: None
    ) -> Consolidation:
        """Of the cube as it is. `beat` is called between pieces of work of a second at most."""
        every = list(self._live(cube, beat))
        looked = [item for item in every if item.memory.kind in _MERGED_KINDS]
        vectors = _stacked(looked)
        said = self._store.said(cube.id, [item.memory.id for item in looked])
        beat()
        retired: dict[str, _Retired] = {}
        if policy.retire:
            retired = {**self._overruled(looked), **self._superseded(cube, looked, said)}
        deeds = _merges(looked, vectors, said, retired, beat)
        deeds = self._unruled(cube, deeds)
        again: list[Recurring] = []
        if policy.retire:
            found = outdated(self._store, cube.id, looked, vectors, deeds)
            kept = self._unruled(cube, [one.deed for one in found])
            deeds += kept
            left = {move.memory_id for deed in kept for move in deed.moves}
            again = [one.again for one in found if one.again and one.id in left]
        gone = {move.memory_id for deed in deeds for move in deed.moves}
        made = (
            self._recurring(cube, looked, vectors, deeds, gone, beat) if policy.generalise else []
        )
        return Consolidation(
            looked_at=len(every),
            bytes_before=sum(item.bytes for item in every),
            deeds=tuple(deeds),
            made=(*again, *made),
            held=tuple(looked),
            bytes_of={item.memory.id: item.bytes for item in every},
        )

    def _live(self, cube: Cube, beat: Callable[[], object]) -> Iterator[Held]:
        after, now = 0, self._clock()
        while rows := self._store.held(cube.id, after=after, limit=_PAGE):
            after = rows[-1].memory.position
            for item in rows:
                if item.memory.expires_at is None or item.memory.expires_at > now:
                    yield item
            beat()

    def _unruled(self, cube: Cube, deeds: Sequence[Deed]) -> list[Deed]:
        """Without live memories that had been merged or retired: somebody brought them back."""
        ids = [move.memory_id for deed in deeds for move in deed.moves]
        back = {
            line.source_id
            for start in range(0, len(ids), _PAGE)
            for line in self._store.lineage(cube.id, ids[start : start + _PAGE])
            if line.relation is not Relation.MADE_FROM
        }
        # An id may stand on either side of a line; only who was merged away counts.
        back &= set(ids)
        if not back:
            return list(deeds)
        found = [_without(deed, back) for deed in deeds]
        return [deed for deed in found if deed.moves]

    def _superseded(
        self, cube: Cube, held: Sequence[Held], said: Mapping[str, Sequence[Said]]
    ) -> dict[str, _Retired]:
        """Memories all of whose assertions have ended: the newer one stands for them."""
        items = {item.memory.id: item for item in held}
        ended: dict[str, list[Ended]] = defaultdict(list)
        for one in self._store.ended(cube.id, now=self._clock()):
            ended[one.memory_id].append(one)
        closers = {one.closer_id for found in ended.values() for one in found}
        heads = {id: way.head for id, way in ways(self._store, cube.id, closers, items).items()}
        retired: dict[str, _Retired] = {}
        for id, found in sorted(ended.items()):
            item, last = items.get(id), max(found, key=lambda one: one.at)
            about = heads.get(last.closer_id)
            if item is None or about is None or about == id or item.fixed:
                continue
            claims = said.get(id, ())
            if _all_over(claims, found) and covered(item.memory, claims) >= _LEAST_COVERED:
                reason = f"all that it says has ended, by rule {last.rule or 'unnamed'}"
                deed = retirement(item, about, reason, {"assertions": len(claims)})
                retired[id] = _Retired(deed, about, last.at)
        return retired

    @staticmethod
    def _overruled(held: Sequence[Held]) -> dict[str, _Retired]:
        """Instructions that no longer stand: the later one stands for them."""
        plain = [item for item in held if _plain(item)]
        items = {item.memory.id: item for item in plain}
        retired: dict[str, _Retired] = {}
        for id, later in overruled(plain).items():
            if not items[id].fixed:
                about, at = later.memory.id, later.memory.occurred_at or later.memory.created_at
                deed = retirement(items[id], about, "a later instruction overrules it", {})
                retired[id] = _Retired(deed, about, at)
        return retired

    def _recurring(
        self,
        cube: Cube,
        held: Sequence[Held],
        vectors: Vector,
        deeds: Sequence[Deed],
        gone: set[str],
        beat: Callable[[], object],
    ) -> list[Recurring]:
        kept = [n for n, item in enumerate(held) if _plain(item) and item.memory.id not in gone]
        ids = [held[row].memory.id for row in kept]
        promoted = {
            item.memory.id
            for item in held
            if item.memory.metadata.get(MADE_BY) == ActionKind.PROMOTE.value
        }
        times: dict[str, int] = defaultdict(lambda: 1)
        known: dict[str, set[ActionKind]] = defaultdict(set)
        for start in range(0, len(ids), _PAGE):
            for row in self._store.lineage(cube.id, ids[start : start + _PAGE]):
                if row.relation is Relation.MERGED:
                    times[row.derived_id] += 1
                elif row.relation is Relation.MADE_FROM and row.derived_id not in promoted:
                    # Whatever was made of it: a memory is generalised once.
                    known[row.source_id] |= set(ActionKind)
        for deed in deeds:
            if deed.kind is ActionKind.MERGE:
                times[deed.about] += len(deed.moves)
        found = recurring(
            [held[row] for row in kept],
            vectors[kept],
            times,
            {id: frozenset(kinds) for id, kinds in known.items()},
            beat=beat,
        )
        return [_shifted(one, kept) for one in found]


def _all_over(claims: Sequence[Said], ended: Sequence[Ended]) -> bool:
    """Whether nothing that a memory asserts goes on: each assertion has ended, or is an event that
    began what has ended, such as a move to where somebody no longer lives."""
    over = {one.claim for one in ended}
    begun = {(subject, thing) for subject, _, thing, _ in over}
    return bool(claims) and all(
        one.claim in over or (one.claim[0], one.claim[2]) in begun for one in claims
    )


def _merges(
    held: Sequence[Held],
    vectors: Vector,
    said: Mapping[str, Sequence[Said]],
    retired: Mapping[str, _Retired],
    beat: Callable[[], object],
) -> list[Deed]:
    """Families merged, but for members that are over: those, and older ones with the same words
    that nobody could read, are retired."""
    kept = [row for row, item in enumerate(held) if _plain(item)]
    over = dict(retired)
    deeds = []
    found = families([held[row] for row in kept], vectors[kept], said, beat=beat)
    for family in found:
        members = [held[kept[row]] for row in (family.head, *family.others)]
        end = max((over[i.memory.id].at for i in members if i.memory.id in over), default=None)
        if end is not None:
            over |= _unread(members, said, over, end)
        left = [item for item in members if item.memory.id not in over]
        others = [item for item in left[1:] if not item.fixed]
        if others:
            deeds.append(_merge(left[0], others, family))
    return [one.deed for one in over.values()] + deeds


def _unread(
    members: Sequence[Held],
    said: Mapping[str, Sequence[Said]],
    over: Mapping[str, _Retired],
    end: datetime,
) -> dict[str, _Retired]:
    why = next(over[item.memory.id] for item in members if item.memory.id in over)
    reason = "it says the same as others, all of which has ended"
    return {
        item.memory.id: replace(why, deed=retirement(item, why.about, reason, {}))
        for item in members
        if item.memory.id not in over
        and not said.get(item.memory.id)
        and not item.fixed
        and item.memory.id != why.about
        and (item.memory.occurred_at or item.memory.created_at) < end
    }


def _merge(head: Held, others: Sequence[Held], family: Family) -> Deed:
    return Deed(
        ActionKind.MERGE,
        head.memory.id,
        f"{len(others) + 1} memories say the same by their {family.by}",
        {"memories": len(others) + 1, "least_cosine": round(family.cosine, 4)},
        moves=tuple(Move(item.memory.id, item.memory.version, State.MERGED) for item in others),
        lineage=tuple(line(head.memory.id, item, Relation.MERGED) for item in others),
    )


def _without(deed: Deed, ids: set[str]) -> Deed:
    return replace(
        deed,
        moves=tuple(move for move in deed.moves if move.memory_id not in ids),
        lineage=tuple(line for line in deed.lineage if line.source_id not in ids),
    )


def _plain(item: Held) -> bool:
    return item.memory.provenance.source != SOURCE


def _shifted(one: Recurring, kept: Sequence[int]) -> Recurring:
    rows = tuple(kept[row] for row in one.rows)
    return Recurring(one.action, one.kind, rows, one.text, one.times, one.days, one.cosine)


def _stacked(held: Sequence[Held]) -> Vector:
    """(n, dimensions), zeros for those without a vector."""
    width = next((len(item.vector) for item in held if item.vector is not None), 1)
    rows = np.zeros((len(held), width), np.float32)
    for row, item in zip(rows, held, strict=True):
        if item.vector is not None and len(item.vector) == width:
            row[:] = item.vector
    return rows
