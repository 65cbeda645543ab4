"""What a cube holds that it need not: duplicates, what no longer holds, loops, junk.

Looks with the same eyes as consolidation and admission, and changes nothing. A loop that got in is
told by its words: somebody else's, or nobody's, and those of an older memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from memos.admission.junk import junk
from memos.consolidation.made import SOURCE
from memos.consolidation.planning import Planner
from memos.consolidation.wording import wording
from memos.protocols import Clock, Held, KeepingStore
from memos.retrieval.reading.analysis import text_of
from memos.types import ActionKind, Audit, AuditRate, Cube, Policy, State

JUNK = 0.6
_EXAMPLES = 5
_FEWEST_WORDS = 4
_PAGE = 2000


class Auditor:
    def __init__(self, store: KeepingStore, *, clock: Clock) -> None:
        self._store = store
        self._planner = Planner(store, clock=clock)

    def audit(self, cube: Cube, *, beat: Callable[[], object] = lambda: None) -> Audit:
        """Of the cube as it is."""
        found = self._planner.plan(cube, Policy(generalise=False), beat=beat)
        moved = {
            kind: [
                move.memory_id for deed in found.deeds if deed.kind is kind for move in deed.moves
            ]
            for kind in (ActionKind.MERGE, ActionKind.SUPERSEDE)
        }
        noisy = [item.memory.id for item in found.held if junk(text_of(item.memory))[0] >= JUNK]
        beat()
        return Audit(
            cube_id=cube.id,
            memories=found.looked_at,
            bytes=found.bytes_before,
            duplicate=_rate(moved[ActionKind.MERGE], found.looked_at),
            stale=_rate(moved[ActionKind.SUPERSEDE], found.looked_at),
            loop=_rate(_loops(found.held), found.looked_at),
            junk=_rate(noisy, found.looked_at),
            quarantined=self._count(cube, State.GENERATED),
        )

    def _count(self, cube: Cube, state: State) -> int:
        after, count = 0, 0
        while rows := self._store.held(cube.id, after=after, limit=_PAGE, states=(state,)):
            after = rows[-1].memory.position
            count += len(rows)
        return count


def _loops(held: Sequence[Held]) -> list[str]:
    first: dict[tuple[object, ...], str | None] = {}
    found = []
    for item in sorted(held, key=lambda one: one.memory.position):
        memory = item.memory
        words = wording(text_of(memory)).words
        if len(words) < _FEWEST_WORDS or memory.provenance.source == SOURCE:
            continue
        key = (words, memory.user_id)
        if key not in first:
            first[key] = memory.speaker
        elif first[key] is not None and memory.speaker != first[key]:
            found.append(memory.id)
    return found


def _rate(ids: Sequence[str], count: int) -> AuditRate:
    return AuditRate(
        count=len(ids), share=len(ids) / count if count else 0.0, examples=tuple(ids[:_EXAMPLES])
    )
