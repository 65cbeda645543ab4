"""Consolidation and forgetting as the service does them: planned, done in small parts, undone.

Each part is one short transaction, so that neither reads nor other writes wait for a run. Knows
stores and plans; not when a run is due.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from memos.config import Settings
from memos.consolidation import planning
from memos.consolidation.planning import SOURCE, Consolidation, Planner, numbers_of, reason_of
from memos.consolidation.recurrence import Recurring, composed
from memos.errors import MemoryNotFound
from memos.forgetting import rules, sweeping
from memos.forgetting.strength import strength
from memos.forgetting.sweeping import Sweeper
from memos.protocols import Clock, Deed, Indexed, Move, NewId, Stores, Use
from memos.service.indexing import Indexer
from memos.types import (
    ActionKind,
    Cube,
    Event,
    KeepingPlan,
    Kind,
    Lineage,
    Memory,
    NewJob,
    Policy,
    Provenance,
    Relation,
    State,
    Strength,
    Work,
)
from memos.validation import check_limit

CONSOLIDATE, SWEEP, REMAKE, REOPEN = "consolidate", "sweep", "remake", "reopen"
_PART, _SMALL_PART = 128, 8
"""Deeds in one transaction: in a calm, and while requests come in."""
_MADE_PART = 16
_FEWEST_LEFT = 2
"""Of fewer sources nothing is made again."""

_EVENTS = 50
_EVERY = 500
"""A policy's `consolidate_after` is looked at once for so many new memories."""
_KINDS = {
    ActionKind.GENERALISE: Kind.SEMANTIC,
    ActionKind.PROCEDURE: Kind.PROCEDURAL,
    ActionKind.CORE: Kind.CORE,
}
_ACTIONS = {kind: action for action, kind in _KINDS.items()}

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
            items=planning.shown(found, limit),
        )

    def consolidation(self, cube: Cube) -> NewJob:
        return self._job(cube, CONSOLIDATE, {}, key=f"{CONSOLIDATE}:{cube.id}")

    def sweep(self, cube: Cube) -> NewJob:
        return self._job(cube, SWEEP, {}, key=f"{SWEEP}:{cube.id}")

    def due(self, cube: Cube, first: int, last: int) -> NewJob | None:
        """The consolidation that memories at these positions bring about: one each time that the
        cube has grown by as many as its policy says. Reads a row only where that can be."""
        if first // _EVERY == last // _EVERY:
            return None
        every = self.policy(cube).consolidate_after
        if not every or (first - 1) // every == last // every:
            return None
        return self.consolidation(cube)

    def consolidate(self, cube: Cube, *, run_id: str, beat: Beat) -> int:
        """How many actions it took."""
        found = self._planner.plan(cube, self.policy(cube), beat=lambda: beat(0.1))
        done = self._apply(cube, found.deeds, run_id, lambda share: beat(0.2 + 0.7 * share))
        return done + self._make(cube, found, run_id, lambda share: beat(0.9 + 0.1 * share))

    def run_sweep(self, cube: Cube, *, run_id: str, beat: Beat) -> int:
        """How many memories went."""
        found = self._sweeper.plan(cube, self.policy(cube), beat=lambda: beat(0.1))
        return self._apply(cube, found.deeds, run_id, lambda share: beat(0.2 + 0.8 * share))

    def remake(self, cube: Cube, kind: ActionKind, source_ids: Sequence[str]) -> Memory | None:
        """After an erase: makes of what is left what was made of it all. None: too little is, or
        it is made already."""
        found = self._stores.memories.get(cube.id, source_ids)
        members = [m for m in found.values() if m.state in (State.ACTIVATED, State.MERGED)]
        members.sort(key=lambda memory: memory.position)
        if len(members) < _FEWEST_LEFT:
            return None
        if self._is_made(cube, _KINDS[kind], [memory.id for memory in members]):
            return None
        import numpy as np

        forms = self._indexer.full(cube.id, members)
        vectors = np.stack([form.vector for form in forms if form.vector is not None])
        text = composed(kind, members, vectors)
        made = self._made(cube, _KINDS[kind], text, members)
        deed = Deed(
            kind,
            made.id,
            "made again of what is left after an erase",
            {"sources": len(members)},
            made=((made, self._indexer.full(cube.id, [made])[0]),),
            lineage=_made_from(made, members),
        )
        done = self._store.apply(cube.id, [deed], actor=None, jobs=self._sync_jobs(cube))
        return made if done else None

    # Lineage

    def lineage(self, cube: Cube, memory_id: str) -> tuple[Lineage, ...]:
        """What a memory comes from, and what comes from it. MemoryNotFound."""
        self._get(cube, memory_id)
        return self._store.lineage(cube.id, [memory_id])

    def follow(self, cube: Cube, gone: Memory, *, actor: str | None) -> tuple[Deed, ...]:
        """After a memory was forgotten: those merged into it go along, what was made of it too and
        is made again of the rest, and what it had superseded is back."""
        deeds = self._following(cube, gone)
        if not deeds:
            return ()
        jobs = [*self._remakes(cube, gone), *self._sync_jobs(cube)]
        return self._store.apply(cube.id, deeds, actor=actor, jobs=jobs)

    def reopening(self, cube: Cube, memory_ids: Sequence[str]) -> list[NewJob]:
        """The job that does what `reopen` does, where the process dies before it comes to that."""
        if not memory_ids:
            return []
        return [self._job(cube, REOPEN, {"memory_ids": sorted(memory_ids)})]

    def reopen(self, cube: Cube, memory_ids: Sequence[str]) -> None:
        """After an erase: what the erased memories had superseded is back, unless something else
        stands for it by now."""
        lines = self._store.lineage(cube.id, memory_ids)
        behind = {line.source_id for line in lines if line.relation is not Relation.MADE_FROM}
        found = self._stores.memories.get(
            cube.id, [id for id in dict.fromkeys(memory_ids) if id not in behind]
        )
        deeds = [
            Deed(
                ActionKind.FOLLOW,
                memory.id,
                "what had superseded it was erased",
                moves=(Move(memory.id, memory.version, State.ACTIVATED),),
            )
            for memory in found.values()
            if memory.state is State.MERGED
        ]
        self._store.apply(cube.id, deeds, actor=None, jobs=self._sync_jobs(cube))

    def followed(self, cube: Cube, back: Memory) -> Event | None:
        """After a memory was restored: the event in which others followed it when it was forgotten;
        it can be undone unless they have changed since."""
        events = self._stores.events.about(cube.tenant_id, back.id, limit=_EVENTS)
        for event in reversed(events):
            if event.kind == f"memory.{ActionKind.FOLLOW.value}" and event.subjects[0] == back.id:
                undone = any(other.cause == event.id for other in events)
                return None if undone else event
        return None

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

    def _is_made(self, cube: Cube, kind: Kind, source_ids: Sequence[str]) -> bool:
        """Whether a live memory of a kind was made of just these."""
        sources: dict[str, set[str]] = {}
        for line in self._store.lineage(cube.id, source_ids):
            if line.relation is Relation.MADE_FROM:
                sources.setdefault(line.derived_id, set()).add(line.source_id)
        same = [id for id, of in sources.items() if of == set(source_ids)]
        found = self._stores.memories.get(cube.id, same).values()
        return any(one.kind is kind and one.state is State.ACTIVATED for one in found)

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
                self._made(cube, one.kind, one.text, sources)
                for one, sources in zip(part, members, strict=True)
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

    def _made(self, cube: Cube, kind: Kind, text: str, sources: Sequence[Memory]) -> Memory:
        """A memory of its own: of its sources' user, as new as the newest of them."""
        now = self._clock()
        first = sources[0]
        times = [m.occurred_at for m in sources if m.occurred_at is not None]
        return Memory(
            id=self._new_id(),
            cube_id=cube.id,
            content=text[: self._settings.max_content_chars],
            kind=kind,
            state=State.ACTIVATED,
            version=1,
            position=0,
            user_id=first.user_id,
            agent_id=first.agent_id,
            session_id=None,
            speaker=None,
            occurred_at=max(times) if times else None,
            place=None,
            images=(),
            metadata={},
            priority=max(m.priority for m in sources),
            expires_at=None,
            provenance=Provenance(source=SOURCE, parents=tuple(m.id for m in sources)),
            created_at=now,
            updated_at=now,
        )

    def _following(self, cube: Cube, gone: Memory) -> list[Deed]:
        lines = self._store.lineage(cube.id, [gone.id])
        ends = {line.derived_id for line in lines} | {line.source_id for line in lines}
        near = self._stores.memories.get(cube.id, sorted(ends - {gone.id}))
        moves = []
        for line in lines:
            other = near.get(line.source_id if line.derived_id == gone.id else line.derived_id)
            to = None if other is None else _goes(line, other, gone)
            if other is not None and to is not None:
                moves.append(Move(other.id, other.version, to))
        if not moves:
            return []
        reason = "a memory was forgotten that they come from, or that stood for them"
        return [
            Deed(ActionKind.FOLLOW, gone.id, reason, {"memories": len(moves)}, moves=tuple(moves))
        ]

    def _remakes(self, cube: Cube, gone: Memory) -> list[NewJob]:
        """Jobs that make again, of the rest, what was made of a memory that is forgotten."""
        jobs = []
        for line in self._store.lineage(cube.id, [gone.id]):
            if line.source_id == gone.id and line.relation is Relation.MADE_FROM:
                jobs += self.remaking(cube, line.derived_id, leave=(gone.id,))
        return jobs

    def remaking(self, cube: Cube, derived_id: str, *, leave: Sequence[str]) -> list[NewJob]:
        """The job that makes a memory again without some of its sources."""
        found = self._stores.memories.get(cube.id, [derived_id]).get(derived_id)
        if found is None or found.state is State.ERASED:
            return []
        left = [
            line.source_id
            for line in self._store.lineage(cube.id, [derived_id])
            if line.derived_id == derived_id
            and line.relation is Relation.MADE_FROM
            and line.source_id not in leave
        ]
        if len(left) < _FEWEST_LEFT:
            return []
        payload: dict[str, object] = {
            "action": _ACTIONS[found.kind].value,
            "source_ids": sorted(left),
        }
        return [self._job(cube, REMAKE, payload)]

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


def _goes(line: Lineage, other: Memory, gone: Memory) -> State | None:
    """The state that another memory has to take when `gone` is forgotten; None: it stays."""
    if line.derived_id == gone.id and other.state is State.MERGED:
        merged = line.relation is Relation.MERGED
        return State.ARCHIVED if merged else State.ACTIVATED
    if line.source_id == gone.id and line.relation is Relation.MADE_FROM:
        return State.ARCHIVED if other.state is State.ACTIVATED else None
    return None


def _making(one: Recurring, memory: Memory, form: Indexed, sources: Sequence[Memory]) -> Deed:
    return Deed(
        one.action,
        memory.id,
        reason_of(one),
        numbers_of(one),
        made=((memory, form),),
        lineage=_made_from(memory, sources),
    )


def _made_from(made: Memory, sources: Sequence[Memory]) -> tuple[Lineage, ...]:
    return tuple(
        Lineage(
            derived_id=made.id,
            source_id=source.id,
            source_version=source.version,
            relation=Relation.MADE_FROM,
        )
        for source in sources
    )
