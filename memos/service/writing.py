"""The verbs that change memories: add, update, forget, restore.

A write is prepared (checked, analysed, embedded) outside the database and then committed as one
transaction, so that what was acknowledged is whole and searchable, and a refusal leaves nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from memos.config import Settings
from memos.errors import (
    BatchTooLarge,
    IdempotencyConflict,
    InvalidInput,
    MemoryNotFound,
    StateConflict,
    VersionConflict,
)
from memos.lifecycle import check_verb
from memos.messages import Defaults, Item, normalise
from memos.protocols import Clock, Erasure, NewId, Receipt, Replacement, Stores
from memos.service.admission import Admission
from memos.service.enriching import Enriching
from memos.service.following import Following
from memos.service.indexing import Indexer
from memos.service.keeping import Keeping
from memos.service.sweeps import sweeps
from memos.types import (
    LIVE,
    Added,
    Cube,
    Judgement,
    Memory,
    NewEvent,
    NewJob,
    NewMemory,
    Policy,
    State,
    UndoStep,
)
from memos.validation import (
    check_content,
    check_label,
    check_memory,
    check_text,
    check_time,
    to_utc,
)
from memos.wire import from_builtins, to_builtins, to_json

_SYNC_DELAY = timedelta(seconds=1)


class Writer:
    """Writes of all tenants; callers hand in a cube they may write to."""

    def __init__(
        self,
        stores: Stores,
        indexer: Indexer,
        enriching: Enriching,
        settings: Settings,
        *,
        clock: Clock,
        new_id: NewId,
        has_vector_index: bool,
        admission: Admission,
    ) -> None:
        self._stores = stores
        self._indexer = indexer
        self._enriching = enriching
        self._settings = settings
        self._clock = clock
        self._new_id = new_id
        self._has_vector_index = has_vector_index
        self._admission = admission
        self._keeping = Keeping(
            stores,
            indexer,
            settings,
            clock=clock,
            new_id=new_id,
            sync_jobs=self.sync_jobs,
        )
        self._following = Following(
            stores,
            indexer,
            settings,
            clock=clock,
            new_id=new_id,
            sync_jobs=self.sync_jobs,
        )

    @property
    def keeping(self) -> Keeping:
        """Consolidation and forgetting, over the same stores."""
        return self._keeping

    @property
    def following(self) -> Following:
        """What follows when memories go or come back, over the same stores."""
        return self._following

    def add(
        self,
        cube: Cube,
        items: Sequence[Item],
        defaults: Defaults,
        *,
        wait: bool,
        idempotency_key: str | None,
        actor: str | None,
    ) -> Added:
        """Durable when it returns; with `wait` also searchable by meaning, else a job does that."""
        if not items:
            raise InvalidInput("there is nothing to add; give at least one memory")
        if len(items) > self._settings.max_batch:
            raise BatchTooLarge(
                f"{len(items)} memories in one add; the limit is {self._settings.max_batch} "
                "(MEMOS_MAX_BATCH). Use add_batch",
                limit=self._settings.max_batch,
            )
        news = self._normalised(items, defaults)
        request = "" if idempotency_key is None else _request_hash(cube.id, news)
        if idempotency_key is not None:
            check_label("idempotency_key", idempotency_key)
            if (replay := self._replay(cube, idempotency_key, request)) is not None:
                return replay
        self._indexer.check_model(cube)
        admitted = self._admission.admit(cube, [self._memory(cube, new, actor) for new in news])
        memories = admitted.stored
        indexed = (
            self._indexer.full(cube.id, memories) if wait else self._indexer.terms_only(memories)
        )
        indexing = [] if wait or not memories else [self._index_job(cube, memories)]
        enriching = self._enriching.after_write(cube) if memories else []
        receipt = None
        if idempotency_key is not None:
            result = {
                "verb": "add",
                "indexing": len(indexing),
                "enriching": len(enriching),
                "places": list(admitted.places),
                "judged": to_builtins(list(admitted.judged)),
            }
            receipt = (cube.tenant_id, idempotency_key, Receipt(request, result))
        try:
            stored, jobs = self._stores.memories.insert(
                cube.id,
                memories,
                indexed,
                jobs=[*indexing, *enriching, *self.sync_jobs(cube), *sweeps(cube, memories)],
                receipt=receipt,
            )
        except IdempotencyConflict:
            # Another request with this key was faster; its answer is this one's too.
            if idempotency_key and (replay := self._replay(cube, idempotency_key, request)):
                return replay
            raise
        self._admission.record(cube, admitted, actor=actor)
        self._consolidate_when_due(cube, admitted.policy, stored)
        known = self._stores.memories.get(cube.id, _known(admitted.places))
        added = _added(stored, jobs, len(indexing), len(enriching))
        return replace(
            added, memories=_placed(admitted.places, stored, known), judged=admitted.judged
        )

    def _consolidate_when_due(self, cube: Cube, policy: Policy, stored: Sequence[Memory]) -> None:
        if stored:
            for job in self._keeping.due(cube, policy, stored[0].position, stored[-1].position):
                self._stores.jobs.enqueue(job)

    def _normalised(self, items: Sequence[Item], defaults: Defaults) -> list[NewMemory]:
        news = []
        for number, item in enumerate(items):
            at = f"item {number}: " if len(items) > 1 else ""
            try:
                new = normalise(item, defaults)
            except InvalidInput as error:
                raise type(error)(f"{at}{error.message}", **error.details) from error
            check_memory(new, self._settings, at=at)
            news.append(new)
        return news

    def _memory(self, cube: Cube, new: NewMemory, actor: str | None) -> Memory:
        now = self._clock()
        provenance = new.provenance
        if provenance.actor is None and actor is not None:
            provenance = replace(provenance, actor=actor)
        return Memory(
            id=self._new_id(),
            cube_id=cube.id,
            content=new.content,
            kind=new.kind,
            state=State.ACTIVATED,
            version=1,
            position=0,
            user_id=new.user_id,
            agent_id=new.agent_id,
            session_id=new.session_id,
            speaker=new.speaker,
            occurred_at=new.occurred_at,
            place=new.place,
            images=new.images,
            metadata=dict(new.metadata),
            priority=float(new.priority),
            expires_at=new.expires_at,
            provenance=provenance,
            created_at=now,
            updated_at=now,
        )

    def _index_job(self, cube: Cube, memories: Sequence[Memory]) -> NewJob:
        return NewJob(
            tenant_id=cube.tenant_id,
            cube_id=cube.id,
            kind="index",
            payload={"memory_ids": [memory.id for memory in memories]},
            max_attempts=self._settings.job_attempts,
        )

    def sync_jobs(self, cube: Cube, *, last: int | None = None) -> list[NewJob]:
        """The job that brings the vector index up to date, for cubes large enough to have one.
        `last` is the cube's newest change number, if it is known."""
        if not self._has_vector_index:
            return []
        last = self._stores.feed.last(cube.id) if last is None else last
        if last < self._settings.vector_index_min:
            return []
        return [
            NewJob(
                tenant_id=cube.tenant_id,
                cube_id=cube.id,
                kind="vector_sync",
                dedupe_key=f"vector_sync:{cube.id}",
                max_attempts=self._settings.job_attempts,
                run_at=self._clock() + _SYNC_DELAY,
            )
        ]

    def _replay(self, cube: Cube, key: str, request: str) -> Added | None:
        receipt = self._stores.receipts.find(cube.tenant_id, key)
        if receipt is None:
            return None
        if receipt.request_hash != request:
            raise IdempotencyConflict(
                f"idempotency key {key!r} was used for another request; use a new key",
                key=key,
            )
        result = receipt.result
        ids = result.get("memories", [])
        found = self._stores.memories.get(cube.id, ids)
        places = result.get("places", range(len(ids)))
        known = self._stores.memories.get(cube.id, _known(places))
        added = _added(
            (),
            tuple(result.get("jobs", ())),
            result.get("indexing", 0),
            result.get("enriching", 0),
        )
        stored = [found.get(id) for id in ids]
        judged = from_builtins(result.get("judged", []), tuple[Judgement, ...])
        return replace(added, memories=_placed(places, stored, known), judged=judged)

    def update(
        self,
        cube: Cube,
        memory_id: str,
        changes: Mapping[str, Any],
        *,
        if_version: int | None,
        reason: str | None,
        actor: str | None,
    ) -> Memory:
        """A new version with `changes` applied; nothing to change is an InvalidInput."""
        if not changes:
            raise InvalidInput("there is nothing to update; give at least one field")
        old = self.current(cube, memory_id, if_version)
        if old.state is not State.ACTIVATED:
            raise StateConflict(
                f"memory {memory_id} is {old.state.value}; restore it before changing it",
                memory_id=memory_id,
                state=old.state.value,
            )
        new = replace(old, **_in_utc(changes), updated_at=self._clock())
        self._check_update(new)
        texts_changed = new.content != old.content or new.images != old.images
        if texts_changed:
            self._indexer.check_model(cube)
        return self._stores.memories.replace(
            new,
            expected_version=old.version,
            operation="update",
            actor=actor,
            reason=_checked_reason(reason),
            indexed=self._indexer.full(cube.id, [new])[0] if texts_changed else None,
            jobs=[
                *self._enriching.after_write(cube),
                *(self.sync_jobs(cube) if texts_changed else ()),
                *(sweeps(cube, [new]) if new.expires_at != old.expires_at else ()),
            ],
        )

    def _check_update(self, memory: Memory) -> None:
        shared = {name: getattr(memory, name) for name in NewMemory.__dataclass_fields__}
        check_content(memory.content, memory.images, self._settings)
        check_memory(NewMemory(**shared), self._settings)

    def forget(
        self,
        cube: Cube,
        memory_id: str,
        *,
        operation: str,
        if_version: int | None,
        reason: str | None,
        actor: str | None,
    ) -> Memory:
        """Archived, to be restored at will; `operation` is its name in the history. The job that
        does what has to follow is queued in the same transaction."""
        old = self.current(cube, memory_id, if_version)
        return self.move(
            cube,
            old,
            "archive",
            reason=_checked_reason(reason),
            actor=actor,
            operation=operation,
            jobs=self._following.leaving(cube, old, actor=actor),
        )

    def erase(
        self,
        cube: Cube,
        memory_id: str,
        *,
        if_version: int | None,
        reason: str | None,
        actor: str | None,
        numbers: Mapping[str, Any] | None = None,
        jobs: Sequence[NewJob] = (),
    ) -> Erasure:
        """Removed from every store, with what comes from it, leaving tombstones; `jobs` are queued
        in the same transaction.

        `numbers`: a rule asked for it, by these; its reason quotes nothing and stays.
        """
        old = self.current(cube, memory_id, if_version)
        check_verb(old, "erase")
        reason = _checked_reason(reason)
        told = None if numbers is None else reason
        event = self.event(cube, "erase", old, reason=told, actor=actor, numbers=numbers or {})
        return self._stores.memories.erase(
            cube.id,
            memory_id,
            actor=actor,
            reason=reason,
            jobs=[*jobs, *self._enriching.after_forgetting(cube, old), *self.sync_jobs(cube)],
            events=[event],
        )

    def restore(
        self,
        cube: Cube,
        memory_id: str,
        *,
        reason: str | None,
        actor: str | None,
        jobs: Sequence[NewJob] = (),
    ) -> Memory:
        """Undoes a `forget`, a merge or an expiry; `jobs` are queued in the same transaction.
        StateConflict if there was none. An `expires_at` that is over is taken away, else it would
        be gone again at once."""
        old = self.current(cube, memory_id, None)
        # What was put aside at its admission was never activated.
        verb = "activate" if old.state is State.GENERATED else "restore"
        return self.move(cube, old, verb, reason=_checked_reason(reason), actor=actor, jobs=jobs)

    def move(
        self,
        cube: Cube,
        old: Memory,
        verb: str,
        *,
        reason: str | None,
        actor: str | None,
        automatic: bool = False,
        numbers: Mapping[str, Any] | None = None,
        cause: str | None = None,
        operation: str | None = None,
        jobs: Sequence[NewJob] = (),
    ) -> Memory:
        """One step of the lifecycle (`memos.lifecycle.VERBS`, but for update and erase), with its
        event. StateConflict if it is not allowed, VersionConflict if the memory is no longer `old`.
        `automatic`: nobody asked for it. `operation` is its name in the history, if another;
        `jobs` are queued in the same transaction."""
        to = check_verb(old, verb, automatic=automatic)
        new = replace(old, state=to, updated_at=self._clock())
        if to is State.ACTIVATED:
            new = self.unexpired(new)
        event = self.event(
            cube, verb, old, reason=reason, actor=actor, numbers=numbers or {}, cause=cause
        )
        change, more = self.change(
            cube, old, new, operation=operation or verb, reason=reason, actor=actor
        )
        stored = self._stores.memories.replace_all(
            cube.id, [change], jobs=[*jobs, *more], events=[event]
        )
        return stored[0]

    def change(
        self,
        cube: Cube,
        old: Memory,
        new: Memory,
        *,
        operation: str,
        reason: str | None,
        actor: str | None,
    ) -> tuple[Replacement, list[NewJob]]:
        """What makes `new` of `old`, indexed as it needs, and the jobs that have to follow."""
        live = new.state in LIVE
        # What comes back is indexed afresh: the model may have changed while it was away.
        fresh = live and (
            old.state not in LIVE or new.content != old.content or new.images != old.images
        )
        if fresh:
            self._indexer.check_model(cube)
        if live:
            enriching = self._enriching.after_write(cube)
        else:
            enriching = self._enriching.after_forgetting(cube, old)
        replacement = Replacement(
            memory=new,
            expected_version=old.version,
            operation=operation,
            actor=actor,
            reason=reason,
            indexed=self._indexer.full(cube.id, [new])[0] if fresh else None,
        )
        return replacement, [*enriching, *self.sync_jobs(cube)]

    def unexpired(self, memory: Memory) -> Memory:
        """Without its `expires_at` if that is over."""
        over = memory.expires_at is not None and memory.expires_at <= self._clock()
        return replace(memory, expires_at=None) if over else memory

    def event(
        self,
        cube: Cube,
        verb: str,
        old: Memory,
        *,
        reason: str | None,
        actor: str | None,
        numbers: Mapping[str, Any],
        cause: str | None = None,
    ) -> NewEvent:
        """That `verb` was done to `old`, undone by going back to it; an erase can't be."""
        step = UndoStep(memory_id=old.id, version=old.version)
        return NewEvent(
            kind=f"memory.{verb}",
            subjects=(old.id,),
            reason=reason,
            numbers=numbers,
            actor=actor,
            cube_id=cube.id,
            undo=() if verb == "erase" else (step,),
            cause=cause,
        )

    def current(self, cube: Cube, memory_id: str, if_version: int | None = None) -> Memory:
        """MemoryNotFound, also if it was erased; VersionConflict if it is at another version."""
        found = self._stores.memories.get(cube.id, [memory_id]).get(memory_id)
        if found is None or found.state is State.ERASED:
            raise MemoryNotFound(
                f"cube {cube.name!r} has no memory {memory_id!r}", memory_id=memory_id
            )
        if if_version is not None and found.version != if_version:
            raise VersionConflict(
                f"memory {memory_id} is at version {found.version}, not {if_version}; "
                "read it again and repeat the change",
                expected=if_version,
                actual=found.version,
            )
        return found


def _known(places: Sequence[int | str]) -> list[str]:
    return [place for place in places if isinstance(place, str)]


def _placed(
    places: Sequence[int | str], stored: Sequence[Memory | None], known: Mapping[str, Memory]
) -> tuple[Memory, ...]:
    """The memory of each text that was sent: stored, or known before; those gone since left out."""
    found = [known.get(place) if isinstance(place, str) else stored[place] for place in places]
    return tuple(memory for memory in found if memory is not None)


def _added(
    memories: tuple[Memory, ...], jobs: tuple[str, ...], indexing: int, enriching: int
) -> Added:
    """`jobs` begin with so many that index and so many that enrich; the others concern nobody."""
    return Added(
        memories=memories, jobs=jobs[:indexing], enriching=jobs[indexing : indexing + enriching]
    )


def _in_utc(changes: Mapping[str, Any]) -> dict[str, Any]:
    done = dict(changes)
    for name in ("occurred_at", "expires_at"):
        check_time(name, done.get(name))
        if done.get(name) is not None:
            done[name] = to_utc(done[name])
    return done


def _checked_reason(reason: str | None) -> str | None:
    if reason is not None:
        check_text("reason", reason)
    return reason


def _request_hash(cube_id: str, news: Sequence[NewMemory]) -> str:
    return hashlib.sha256(cube_id.encode() + to_json(list(news))).hexdigest()
