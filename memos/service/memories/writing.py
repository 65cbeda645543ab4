"""The verbs that change memories: update, forget, restore, and each step of a life.

A write is prepared (checked, analysed, embedded) outside the database and then committed as one
transaction, so that what was acknowledged is whole and searchable, and a refusal leaves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from memos.config import Settings
from memos.errors import (
    InvalidInput,
    MemoryNotFound,
    StateConflict,
    VersionConflict,
)
from memos.lifecycle import check_verb
from memos.protocols import Clock, Erasure, NewId, Replacement, Stores
from memos.service.enriching.due import Enriching
from memos.service.keeping.keeping import Keeping
from memos.service.lifecycle.following import Following
from memos.service.lifecycle.sweeps import sweeps
from memos.service.memories.repeating import repeated
from memos.service.retrieval.indexing import Indexer
from memos.types import (
    LIVE,
    Cube,
    Memory,
    NewEvent,
    NewJob,
    NewMemory,
    State,
    UndoStep,
)
from memos.validation import (
    check_content,
    check_memory,
    check_text,
    check_time,
    to_utc,
)

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
    ) -> None:
        self._stores = stores
        self._indexer = indexer
        self._enriching = enriching
        self._settings = settings
        self._clock = clock
        self._has_vector_index = has_vector_index
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
        return repeated(
            if_version,
            lambda: self._update(
                cube, memory_id, changes, if_version=if_version, reason=reason, actor=actor
            ),
        )

    def _update(
        self,
        cube: Cube,
        memory_id: str,
        changes: Mapping[str, Any],
        *,
        if_version: int | None,
        reason: str | None,
        actor: str | None,
    ) -> Memory:
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
        in the same transaction. VersionConflict if it was changed meanwhile.

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
            expected_version=old.version,
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
        """MemoryNotFound, also if it was erased; VersionConflict if it is at another version;
        InvalidInput for what is no version."""
        if if_version is not None and type(if_version) is not int:
            raise InvalidInput(
                f"if_version is {if_version!r}; it must be a whole number", field="if_version"
            )
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
