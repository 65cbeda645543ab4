"""What has to follow, along lineage, when a memory goes or comes back.

Those merged into a forgotten memory go along, what was made of it is made again of the rest, what
it had superseded is back. A process may die between the forgetting and this, so a job that does the
same is queued with the forgetting; whoever comes second finds nothing to do. Knows no verbs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from memos.config import Settings
from memos.consolidation.made import FEWEST_LEFT, KINDS, action_of, made_from, made_memory
from memos.consolidation.quoting import quoted
from memos.protocols import Clock, Deed, Move, NewId, Stores
from memos.service.retrieval.indexing import Indexer
from memos.types import (
    COUNTED,
    LIVE,
    ActionKind,
    Cube,
    Event,
    Kind,
    Lineage,
    Memory,
    NewJob,
    Relation,
    State,
)

FOLLOW, RETURN, REMAKE, REOPEN = "follow", "return", "remake", "reopen"
_FOLLOWED = f"memory.{ActionKind.FOLLOW.value}"
_EVENTS = 50

SyncJobs = Callable[[Cube], list[NewJob]]


class Following:
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

    # When one is forgotten

    def leaving(self, cube: Cube, memory: Memory, *, actor: str | None) -> list[NewJob]:
        """The job that follows a memory which is about to be forgotten, to be queued in the
        transaction of that; none if nothing hangs on it."""
        if not self._store.lineage(cube.id, [memory.id]):
            return []
        payload = {"memory_id": memory.id, "version": memory.version + 1, "actor": actor}
        return [self._job(cube, FOLLOW, payload)]

    def follow(
        self, cube: Cube, memory_id: str, version: int, *, actor: str | None
    ) -> tuple[Deed, ...]:
        """After a memory was forgotten, in `version`: those merged into it go along, what was made
        of it too and is made again of the rest, and what it had superseded is back. Nothing, if
        that was done, or the memory is back already."""
        gone = self._stores.memories.get(cube.id, [memory_id]).get(memory_id)
        if gone is None or gone.version != version or gone.state is not State.ARCHIVED:
            return ()
        if any(event.numbers.get("version") == version for event in self._followings(cube, gone)):
            return ()
        deeds = self._deeds(cube, gone)
        if not deeds:
            return ()
        jobs = [*self._remakes(cube, gone), *self._sync_jobs(cube)]
        return self._store.apply(cube.id, deeds, actor=actor, jobs=jobs)

    def _deeds(self, cube: Cube, gone: Memory) -> list[Deed]:
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
        numbers = {"memories": len(moves), "version": gone.version}
        return [Deed(ActionKind.FOLLOW, gone.id, reason, numbers, moves=tuple(moves))]

    def _followings(self, cube: Cube, memory: Memory) -> list[Event]:
        """Events in which others followed a memory, the newest last."""
        events = self._stores.events.about(cube.tenant_id, memory.id, limit=_EVENTS)
        return [one for one in events if one.kind == _FOLLOWED and one.subjects[0] == memory.id]

    # When it comes back

    def followed(self, cube: Cube, memory: Memory) -> Event | None:
        """The event in which others followed a memory when it was forgotten, to be undone when it
        comes back; None if there is none, or it was undone."""
        events = self._followings(cube, memory)
        if not events:
            return None
        after = self._stores.events.about(cube.tenant_id, events[-1].id, limit=_EVENTS)
        undone = any(other.cause == events[-1].id for other in after)
        return None if undone else events[-1]

    def returning(self, cube: Cube, event: Event, *, actor: str | None) -> list[NewJob]:
        """The job that undoes such an event, to be queued in the transaction that brings the
        memory back."""
        return [self._job(cube, RETURN, {"event_id": event.id, "actor": actor})]

    # When one is erased

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

    # What is made again

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
        if len(left) < FEWEST_LEFT:
            return []
        payload = {
            "action": action_of(found).value,
            "kind": found.kind.value,
            "source_ids": sorted(left),
        }
        # Older code knows the actions that make one kind of memory each, and leaves the others.
        return [self._job(cube, REMAKE, payload, version=1 if action_of(found) in KINDS else 2)]

    def remake(
        self,
        cube: Cube,
        action: ActionKind,
        source_ids: Sequence[str],
        *,
        kind: Kind | None = None,
    ) -> Memory | None:
        """Makes of what is left what was made of it all; `kind` if the action makes several. None:
        too little is left, or it is made already."""
        kind = kind or KINDS[action]
        found = self._stores.memories.get(cube.id, source_ids)
        members = [m for m in found.values() if m.state in COUNTED]
        members.sort(key=lambda memory: memory.position)
        if len(members) < FEWEST_LEFT:
            return None
        if self._is_made(cube, kind, [memory.id for memory in members]):
            return None
        text = self._text(cube, action, kind, members)[: self._settings.max_content_chars]
        made = made_memory(cube, action, kind, text, members, id=self._new_id(), now=self._clock())
        deed = Deed(
            action,
            made.id,
            "made again of what is left",
            {"sources": len(members)},
            made=((made, self._indexer.full(cube.id, [made])[0]),),
            lineage=made_from(made, members),
        )
        done = self._store.apply(cube.id, [deed], actor=None, jobs=self._sync_jobs(cube))
        return made if done else None

    def _text(self, cube: Cube, action: ActionKind, kind: Kind, members: Sequence[Memory]) -> str:
        import numpy as np

        forms = self._indexer.full(cube.id, members)
        vectors = np.stack([form.vector for form in forms if form.vector is not None])
        return quoted(action, kind, members, vectors)

    def _is_made(self, cube: Cube, kind: Kind, source_ids: Sequence[str]) -> bool:
        """Whether a live memory of a kind was made of just these."""
        sources: dict[str, set[str]] = {}
        for line in self._store.lineage(cube.id, source_ids):
            if line.relation is Relation.MADE_FROM:
                sources.setdefault(line.derived_id, set()).add(line.source_id)
        same = [id for id, of in sources.items() if of == set(source_ids)]
        found = self._stores.memories.get(cube.id, same).values()
        return any(one.kind is kind and one.state in LIVE for one in found)

    def _job(
        self, cube: Cube, kind: str, payload: Mapping[str, object], *, version: int = 1
    ) -> NewJob:
        return NewJob(
            tenant_id=cube.tenant_id,
            cube_id=cube.id,
            kind=kind,
            payload=payload,
            max_attempts=self._settings.job_attempts,
            version=version,
        )


def _goes(line: Lineage, other: Memory, gone: Memory) -> State | None:
    """The state that another memory has to take when `gone` is forgotten; None: it stays."""
    if line.derived_id == gone.id and other.state is State.MERGED:
        merged = line.relation is Relation.MERGED
        return State.ARCHIVED if merged else State.ACTIVATED
    if line.source_id == gone.id and line.relation is Relation.MADE_FROM:
        return State.ARCHIVED if other.state is State.ACTIVATED else None
    return None
