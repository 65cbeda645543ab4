"""Consolidation and forgetting as the service does them: planned, done in small parts, undone.

Each part is one short transaction, so that neither reads nor other writes wait for a run. Knows
stores and plans; not when a run is due.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from memos.config import Settings
from memos.consolidation.made import made_from, made_memory
from memos.consolidation.planning import Consolidation, Planner
from memos.consolidation.recurrence import Recurring
from memos.consolidation.showing import numbers_of, reason_of, shown
from memos.errors import MemoryNotFound
from memos.forgetting import rules, sweeping
from memos.forgetting.strength import strength
from memos.forgetting.sweeping import Sweeper
from memos.protocols import Clock, Deed, Indexed, NewId, Stores, Use
from memos.service.retrieval.indexing import Indexer
from memos.types import (
    Cube,
    KeepingPlan,
    Lineage,
    Memory,
    NewJob,
    Policy,
    State,
    Strength,
    Work,
)
from memos.validation import check_limit

CONSOLIDATE, SWEEP = "consolidate", "sweep"
_PART, _SMALL_PART = 128, 8
"""Deeds in one transaction: in a calm, and while requests come in."""
_MADE_PART = 16

SyncJobs = Callable[[Cube], list[NewJob]]
Beat = Callable[[float], bool]
"""Told how far a run has come; whether nobody else wants anything just now."""


class Keeping:
    """For all tenants; callers hand in a cube they may change."""

    def __init__(
        self,
        stores: Stores,
        indexer: Indexer,
        settings: Settings,
        *,
        clock: Clock,
        new_id: NewId,
        sync_jobs: SyncJobs,
    ) -> None:
        self._stores = stores
        self._store = stores.keeping
        self._indexer = indexer
        self._settings = settings
        self._clock = clock
        self._new_id = new_id
        self._sync_jobs = sync_jobs
        self._planner = Planner(stores.keeping, clock=clock)
        self._sweeper = Sweeper(stores.keeping, clock=clock)

    # Policy

    def policy(self, cube: Cube) -> Policy:
        """The cube's own, or the default."""
        return self._store.policy(cube.id) or Policy()

    def set_policy(self, cube: Cube, policy: Policy, *, actor: str | None) -> Policy:
        """InvalidInput, or PolicyContradiction if its rules can't all hold, also with what is
        pinned now."""
        policy = rules.checked(policy)
        if policy.max_bytes is not None or policy.max_memories is not None:
            self._sweeper.plan(cube, policy)
        self._store.put_policy(cube.id, policy, actor=actor)
        return policy

    # Plans and runs

    def plan(self, cube: Cube, work: Work, *, limit: int) -> KeepingPlan:
        """What a run would do now."""
        check_limit("limit", limit, self._settings)
        policy = self.policy(cube)
        if work is Work.SWEEP:
            sweep = self._sweeper.plan(cube, policy)
            counts: Counter[str] = Counter()
            for deed in sweep.deeds:
                counts[deed.kind.value] += len(deed.shrunk) or 1
            return KeepingPlan(
                cube_id=cube.id,
                work=work,
                memories=sweep.looked_at,
                actions=dict(counts),
                bytes_before=sweep.bytes_before,
                bytes_after=sweep.bytes_after,
                items=sweeping.shown(sweep, limit),
            )
        found = self._planner.plan(cube, policy)
        counts = Counter(deed.kind.value for deed in found.deeds)
        counts.update(one.action.value for one in found.made)
        return KeepingPlan(
            cube_id=cube.id,
            work=work,
            memories=found.looked_at,
            actions=dict(counts),
            bytes_before=found.bytes_before,
            bytes_after=found.bytes_after(),
            items=shown(found, limit),
        )

    def consolidation(self, cube: Cube) -> NewJob:
        return self._job(cube, CONSOLIDATE, {}, key=f"{CONSOLIDATE}:{cube.id}")

    def sweep(self, cube: Cube) -> NewJob:
        return self._job(cube, SWEEP, {}, key=f"{SWEEP}:{cube.id}")

    def due(self, cube: Cube, policy: Policy, first: int, last: int) -> list[NewJob]:
        """The consolidations that memories at these positions bring about: one each time that the
        cube has grown by as many as its policy says, and one for when nothing more comes."""
        jobs = []
        every, idle = policy.consolidate_after, policy.consolidate_idle_minutes
        if every and (first - 1) // every != last // every:
            jobs.append(self.consolidation(cube))
        if idle is not None:
            jobs.append(self._when_idle(cube, self._clock() + timedelta(minutes=idle)))
        return jobs

    def idle_until(self, cube: Cube) -> NewJob | None:
        """For a consolidation that was to wait until nothing more comes: the one to be queued
        instead, since something came meanwhile; None: it may begin."""
        idle, newest = self.policy(cube).consolidate_idle_minutes, self._store.newest(cube.id)
        if idle is None or newest is None:
            return None
        begins = newest + timedelta(minutes=idle)
        return self._when_idle(cube, begins) if begins > self._clock() else None

    def _when_idle(self, cube: Cube, at: datetime) -> NewJob:
        key = f"{CONSOLIDATE}:{cube.id}:idle"
        return replace(self._job(cube, CONSOLIDATE, {"idle": True}, key=key), run_at=at)

    def consolidate(self, cube: Cube, *, run_id: str, beat: Beat) -> int:
        """How many actions it took."""
        found = self._planner.plan(cube, self.policy(cube), beat=lambda: beat(0.1))
        done = self._apply(cube, found.deeds, run_id, lambda share: beat(0.2 + 0.7 * share))
        return done + self._make(cube, found, run_id, lambda share: beat(0.9 + 0.1 * share))

    def run_sweep(self, cube: Cube, *, run_id: str, beat: Beat) -> int:
        """How many memories went."""
        found = self._sweeper.plan(cube, self.policy(cube), beat=lambda: beat(0.1))
        return self._apply(cube, found.deeds, run_id, lambda share: beat(0.2 + 0.8 * share))

    # Lineage

    def lineage(self, cube: Cube, memory_id: str) -> tuple[Lineage, ...]:
        """What a memory comes from, and what comes from it. MemoryNotFound."""
        self._get(cube, memory_id)
        return self._store.lineage(cube.id, [memory_id])

    # Strength

    def pinned(self, cube: Cube, memory_ids: Sequence[str]) -> frozenset[str]:
        """Those of some memories that are pinned."""
        uses = self._store.uses(cube.id, memory_ids)
        return frozenset(id for id, use in uses.items() if use.pinned)

    def pin(self, cube: Cube, memory_id: str, *, pinned: bool) -> Strength:
        self._store.pin(cube.id, memory_id, pinned=pinned)
        return self.strength(cube, memory_id)

    def strength(self, cube: Cube, memory_id: str) -> Strength:
        """MemoryNotFound."""
        memory = self._get(cube, memory_id)
        use = self._store.uses(cube.id, [memory_id]).get(memory_id, Use())
        return strength(memory, use, self.policy(cube), now=self._clock())

    # Inside

    def _get(self, cube: Cube, memory_id: str) -> Memory:
        found = self._stores.memories.get(cube.id, [memory_id]).get(memory_id)
        if found is None or found.state is State.ERASED:
            raise MemoryNotFound(
                f"cube {cube.name!r} has no memory {memory_id!r}", memory_id=memory_id
            )
        return found

    def _apply(self, cube: Cube, deeds: Sequence[Deed], run_id: str, beat: Beat) -> int:
        done = start = 0
        size = _PART
        while start < len(deeds):
            part = deeds[start : start + size]
            done += len(
                self._store.apply(
                    cube.id, part, actor=None, run_id=run_id, jobs=self._sync_jobs(cube)
                )
            )
            start += size
            size = _PART if beat(min(1.0, start / len(deeds))) else _SMALL_PART
        return done

    def _make(self, cube: Cube, found: Consolidation, run_id: str, beat: Beat) -> int:
        done = 0
        for start in range(0, len(found.made), _MADE_PART):
            part = found.made[start : start + _MADE_PART]
            members = [[found.held[row].memory for row in one.rows] for one in part]
            new = [
                self._made(cube, one, sources) for one, sources in zip(part, members, strict=True)
            ]
            forms = self._indexer.full(cube.id, new)
            deeds = [
                _making(one, memory, form, sources)
                for one, memory, form, sources in zip(part, new, forms, members, strict=True)
            ]
            done += len(
                self._store.apply(
                    cube.id, deeds, actor=None, run_id=run_id, jobs=self._sync_jobs(cube)
                )
            )
            beat(min(1.0, (start + _MADE_PART) / len(found.made)))
        return done

    def _made(self, cube: Cube, one: Recurring, sources: Sequence[Memory]) -> Memory:
        text = one.text[: self._settings.max_content_chars]
        return made_memory(
            cube, one.action, one.kind, text, sources, id=self._new_id(), now=self._clock()
        )

    def _job(
        self, cube: Cube, kind: str, payload: dict[str, object], *, key: str | None = None
    ) -> NewJob:
        return NewJob(
            tenant_id=cube.tenant_id,
            cube_id=cube.id,
            kind=kind,
            payload=payload,
            dedupe_key=key,
            max_attempts=self._settings.job_attempts,
        )


def _making(one: Recurring, memory: Memory, form: Indexed, sources: Sequence[Memory]) -> Deed:
    return Deed(
        one.action,
        memory.id,
        reason_of(one),
        numbers_of(one),
        made=((memory, form),),
        lineage=made_from(memory, sources),
    )
