"""Promotion of hot segments to long-term memory, as the service plans and does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from memos.config import Settings
from memos.consolidation.made import MADE_BY, made_from, made_memory
from memos.consolidation.quoting import quoted
from memos.protocols import Clock, Deed, NewId, Stores
from memos.service.retrieval.contexts import Contexts
from memos.service.retrieval.indexing import Indexer
from memos.tiers.promotion import Promotion, is_hot, kind_of, standing
from memos.types import ActionKind, Cube, NewJob, PlannedAction, Policy, Relation, Segment

_UNVISITED = 2.0
"""The most heat that a segment has which nobody has asked for: length and recency."""


class Promoter:
    """For all tenants; callers hand in a cube they may change."""

    def __init__(
        self,
        stores: Stores,
        contexts: Contexts,
        indexer: Indexer,
        settings: Settings,
        *,
        clock: Clock,
        new_id: NewId,
        sync_jobs: Callable[[Cube], list[NewJob]],
    ) -> None:
        self._stores = stores
        self._contexts = contexts
        self._indexer = indexer
        self._settings = settings
        self._clock = clock
        self._new_id = new_id
        self._sync_jobs = sync_jobs

    def plan(
        self, cube: Cube, policy: Policy, *, beat: Callable[[], object] = lambda: None
    ) -> Iterator[Promotion]:
        """The segments that are hot by the cube's policy and were not promoted yet, by session."""
        least = policy.promote_heat
        if least is None:
            return
        visited = least >= _UNVISITED
        for session_id in self._stores.keeping.sessions(cube.id, visited=visited):
            for segment in map(standing, self._contexts.pages(cube, session_id)):
                if segment.heat >= least and is_hot(segment, least, self._promoted(cube, segment)):
                    turns = segment.memories
                    kind = kind_of(turns)
                    vectors = self._contexts.vectors(cube, turns)
                    text = quoted(ActionKind.PROMOTE, kind, turns, vectors)
                    yield Promotion(segment, kind, text, least)
            beat()

    def run(
        self,
        cube: Cube,
        policy: Policy,
        *,
        run_id: str,
        beat: Callable[[], object] = lambda: None,
    ) -> int:
        """How many segments were promoted."""
        done = 0
        for one in self.plan(cube, policy, beat=beat):
            deeds = [self._deed(cube, one)]
            done += len(
                self._stores.keeping.apply(
                    cube.id, deeds, actor=None, run_id=run_id, jobs=self._sync_jobs(cube)
                )
            )
        return done

    def _deed(self, cube: Cube, one: Promotion) -> Deed:
        sources = one.segment.memories
        made = made_memory(
            cube,
            ActionKind.PROMOTE,
            one.kind,
            one.text[: self._settings.max_content_chars],
            sources,
            id=self._new_id(),
            now=self._clock(),
        )
        [form] = self._indexer.full(cube.id, [made])
        return Deed(
            ActionKind.PROMOTE,
            made.id,
            one.reason,
            one.numbers,
            made=((made, form),),
            lineage=made_from(made, sources),
        )

    def _promoted(self, cube: Cube, segment: Segment) -> frozenset[str]:
        """Those of its turns that something was made of by promotion, also if that was undone."""
        lines = [
            line
            for line in self._stores.keeping.lineage(cube.id, [m.id for m in segment.memories])
            if line.relation is Relation.MADE_FROM
        ]
        made = self._stores.memories.get(cube.id, sorted({line.derived_id for line in lines}))
        by_promotion = {
            id
            for id, memory in made.items()
            if memory.metadata.get(MADE_BY) == ActionKind.PROMOTE.value
        }
        return frozenset(line.source_id for line in lines if line.derived_id in by_promotion)


def shown(one: Promotion) -> PlannedAction:
    turns = one.segment.memories
    return PlannedAction(
        kind=ActionKind.PROMOTE,
        reason=one.reason,
        numbers=one.numbers,
        memory_ids=tuple(memory.id for memory in turns),
        text=one.text,
        of=tuple(memory.content for memory in turns),
    )
