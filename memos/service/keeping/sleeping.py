"""Sleep: all that consolidation does to a cube, one thing after the other, and the plan of it.

Merging first, since what is made of memories should not be made of the same thing twice; then hot
segments are promoted, and sessions and their segments summarised, without what was merged away. The
last is a job of its own: a language model may take long over it, or fail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from memos.protocols import Stores
from memos.service.enriching.due import Enriching
from memos.service.keeping import promoting
from memos.service.keeping.keeping import Keeping
from memos.service.keeping.promoting import Promoter
from memos.summaries.sessions import Part, SessionSummaries
from memos.types import ActionKind, Cube, KeepingPlan, PlannedAction, Work

Beat = Callable[[float], bool]
_MERGED = 0.9
"""How far a run has come when only promotion is left."""


class Sleep:
    """For all tenants; callers hand in a cube they may change."""

    def __init__(
        self,
        stores: Stores,
        keeping: Keeping,
        promoter: Promoter,
        sessions: SessionSummaries,
        enriching: Enriching,
    ) -> None:
        self._stores = stores
        self._enriching = enriching
        self._keeping = keeping
        self._promoter = promoter
        self._sessions = sessions

    def plan(self, cube: Cube, work: Work, *, limit: int) -> KeepingPlan:
        """What a run would do now."""
        plan = self._keeping.plan(cube, work, limit=limit)
        if work is not Work.CONSOLIDATE:
            return plan
        items, counts = list(plan.items), Counter(plan.actions)
        for action in self._more(cube):
            counts[action.kind.value] += 1
            if len(items) < limit:
                items.append(action)
        return replace(plan, actions=dict(counts), items=tuple(items))

    def _more(self, cube: Cube) -> list[PlannedAction]:
        policy = self._keeping.policy(cube)
        found = [promoting.shown(one) for one in self._promoter.plan(cube, policy)]
        if policy.summarise:
            due = self._sessions.due(cube)
            found += [self._shown(part) for part in self._sessions.missing(cube, due)]
        return found

    def run(self, cube: Cube, *, run_id: str, beat: Beat) -> int:
        """How many actions it took; summaries follow by a job."""
        policy = self._keeping.policy(cube)
        done = self._keeping.consolidate(
            cube, run_id=run_id, beat=lambda share: beat(_MERGED * share)
        )
        done += self._promoter.run(cube, policy, run_id=run_id, beat=lambda: beat(_MERGED))
        if policy.summarise:
            self._stores.jobs.enqueue(self._enriching.after_sleep(cube, run_id))
        return done

    def _shown(self, part: Part) -> PlannedAction:
        turns, writer = part.turns.memories, self._sessions.writer
        # A dry run asks nobody.
        written = None if writer.asks else writer.write(part.turns)
        text = f"to be written by {writer.method}" if written is None else written.text
        return PlannedAction(
            kind=ActionKind.SUMMARISE,
            reason=f"{part.kind.value} {part.session_id} has turns that no summary tells of",
            numbers={"turns": len(turns)},
            memory_ids=tuple(memory.id for memory in turns),
            text=text,
            of=tuple(memory.content for memory in turns),
        )
