"""How memories go through their lives: by verbs, by rules, and back.

A step is checked by `memos.lifecycle`, done by the writer, and recorded as an event that says how
to undo it. The job `lifecycle` applies the rules of a cube, and the memories' own `expires_at`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from memos.errors import InvalidInput, MemoryNotFound, StateConflict, VersionConflict
from memos.lifecycle import check_rule, check_way_back, due_step
from memos.protocols import Clock, Replacement, Stores
from memos.scheduler import Handler, JobContext
from memos.service.background.handling import unless_cube_gone
from memos.service.lifecycle.sweeps import LIFECYCLE, sweep
from memos.service.memories.repeating import repeated
from memos.service.memories.writing import Writer
from memos.summaries.sessions import MADE
from memos.types import (
    LIVE,
    Cube,
    Event,
    LifecycleRule,
    Memory,
    MemoryVersion,
    NewEvent,
    NewJob,
    State,
    UndoStep,
)
from memos.validation import check_text

_PART = 500
_TOUCHING = frozenset({"add", "update", "restore", "rollback", "thaw", "undo", "activate"})
"""Operations after which a memory's age is counted anew."""
_EVERY = timedelta(hours=1)


class Lifecycle:
    """For all tenants. `gone` is called after a memory left the search, to drop what is held of it
    in RAM and on disk; `erase` removes one for good, along its lineage; `pinned` says which of some
    never go by a rule."""

    def __init__(
        self,
        stores: Stores,
        writer: Writer,
        *,
        clock: Clock,
        gone: Callable[[Cube, str], None],
        erase: Callable[..., object],
        pinned: Callable[[Cube, Sequence[str]], frozenset[str]],
    ) -> None:
        self._stores = stores
        self._writer = writer
        self._clock = clock
        self._gone = gone
        self._erase_for_good = erase
        self._pinned = pinned

    def step(
        self,
        cube: Cube,
        memory_id: str,
        verb: str,
        *,
        if_version: int | None,
        reason: str | None,
        actor: str | None,
    ) -> Memory:
        """archive, freeze, thaw, expire: StateConflict where the lifecycle has no such step."""
        if reason is not None:
            check_text("reason", reason)

        def move() -> Memory:
            old = self._writer.current(cube, memory_id, if_version)
            return self._writer.move(cube, old, verb, reason=reason, actor=actor)

        done = repeated(if_version, move)
        if done.state not in LIVE:
            self._gone(cube, memory_id)
        return done

    def rollback(
        self,
        cube: Cube,
        memory_id: str,
        version: int,
        *,
        if_version: int | None,
        reason: str | None,
        actor: str | None,
    ) -> Memory:
        """A new version that is what `version` was. StateConflict out of frozen or into it;
        InvalidInput if there is no such version."""
        if reason is not None:
            check_text("reason", reason)

        def roll_back() -> Memory:
            old = self._writer.current(cube, memory_id, if_version)
            numbers = {"to_version": version, "from_version": old.version}
            change, jobs = self._back(cube, old, version, "rollback", reason, actor)
            event = self._writer.event(
                cube, "rollback", old, reason=reason, actor=actor, numbers=numbers
            )
            replaced = self._stores.memories.replace_all
            return replaced(cube.id, [change], jobs=jobs, events=[event])[0]

        done = repeated(if_version, roll_back)
        if done.state not in LIVE:
            self._gone(cube, memory_id)
        return done

    def _back(
        self,
        cube: Cube,
        old: Memory,
        version: int,
        operation: str,
        reason: str | None,
        actor: str | None,
    ) -> tuple[Replacement, list[NewJob]]:
        past = self._version(cube, old, version)
        check_way_back(old, past)
        new = replace(past, updated_at=self._clock())
        if new.state is State.ACTIVATED:
            new = self._writer.unexpired(new)
        return self._writer.change(cube, old, new, operation=operation, reason=reason, actor=actor)

    def _version(self, cube: Cube, old: Memory, version: int) -> Memory:
        for entry in self._stores.memories.history(cube.id, old.id):
            if entry.version == version and entry.memory is not None:
                return entry.memory
        raise InvalidInput(
            f"memory {old.id} has no version {version}; its versions are 1 to {old.version}",
            field="version",
        )

    def undo(
        self,
        cube: Cube,
        event: Event,
        *,
        reason: str | None,
        actor: str | None,
        jobs: Sequence[NewJob] = (),
    ) -> tuple[Memory, ...]:
        """Takes back what an event tells of: every memory as it was before, all or none; `jobs` are
        queued in the same transaction.

        StateConflict if there is no way back, VersionConflict if a memory was changed since, by
        whatever: roll that one back by itself.
        """
        if not event.undo:
            raise StateConflict(
                f"event {event.id} ({event.kind}) can't be undone", event_id=event.id
            )
        if event.kind == MADE:
            self._take_back_summaries(cube, event, reason, actor)
            return ()
        changes, queued, back = [], list(jobs), list[UndoStep]()
        for step in event.undo:
            old = self._unchanged(cube, event, step)
            change, more = self._taken_back(cube, old, step, reason, actor)
            changes.append(change)
            queued += more
            back.append(UndoStep(memory_id=old.id, version=old.version))
        undone = NewEvent(
            kind=f"{event.kind}.undo",
            subjects=(event.id, *(step.memory_id for step in event.undo)),
            reason=reason,
            actor=actor,
            cube_id=cube.id,
            undo=tuple(back),
            cause=event.id,
        )
        done = self._stores.memories.replace_all(cube.id, changes, jobs=queued, events=[undone])
        for memory in done:
            if memory.state not in LIVE:
                self._gone(cube, memory.id)
        return done

    def _take_back_summaries(
        self, cube: Cube, event: Event, reason: str | None, actor: str | None
    ) -> None:
        """They hold no longer, and are not made again of the same turns."""
        ids = [step.memory_id for step in event.undo]
        told = NewEvent(
            kind=f"{event.kind}.undo",
            subjects=(event.id, *ids),
            reason=reason,
            actor=actor,
            cube_id=cube.id,
            cause=event.id,
        )
        self._stores.summaries.take_back(cube.id, ids, told=told)

    def _unchanged(self, cube: Cube, event: Event, step: UndoStep) -> Memory:
        """The memory as the event left it."""
        old = self._writer.current(cube, step.memory_id)
        expected = 1 if step.version is None else step.version + 1
        if old.version != expected:
            raise VersionConflict(
                f"memory {old.id} is at version {old.version}, and event {event.id} made version "
                f"{expected}: it was changed since. Roll it back by itself, if you want to",
                expected=expected,
                actual=old.version,
            )
        return old

    def _taken_back(
        self, cube: Cube, old: Memory, step: UndoStep, reason: str | None, actor: str | None
    ) -> tuple[Replacement, list[NewJob]]:
        if step.version is not None:
            return self._back(cube, old, step.version, "undo", reason, actor)
        new = replace(old, state=State.ARCHIVED, updated_at=self._clock())
        return self._writer.change(cube, old, new, operation="undo", reason=reason, actor=actor)

    # Rules

    def rules(self, cube: Cube) -> tuple[LifecycleRule, ...]:
        return self._stores.rules.all(cube.id)

    def set_rule(self, cube: Cube, rule: LifecycleRule, *, actor: str | None) -> LifecycleRule:
        """Replaces the rule of its kind; one without any span takes it away. InvalidInput,
        PolicyContradiction."""
        check_rule(rule)
        kept = replace(rule, updated_at=self._clock(), actor=actor)
        self._stores.rules.put(cube.id, kept, jobs=[sweep(cube)])
        return kept

    def table(self) -> Mapping[str, Handler]:
        return {LIFECYCLE: unless_cube_gone(self._sweep)}

    def _sweep(self, context: JobContext) -> None:
        """Once over the cube; while there are rules, again in an hour."""
        job = context.job
        cube = self._stores.cubes.get(job.tenant_id, job.cube_id or "")
        rules = {rule.kind: rule for rule in self.rules(cube)}
        states = (State.ACTIVATED, State.ARCHIVED, State.EXPIRED)
        after = 0
        while rows := self._stores.memories.page(cube.id, after=after, limit=_PART, states=states):
            after = rows[-1].position
            pinned = self._pinned(cube, [memory.id for memory in rows])
            for memory in rows:
                if memory.id not in pinned:
                    self._apply(cube, memory, rules.get(memory.kind))
            context.beat()
            context.check_stop()
        if rules:
            self._stores.jobs.enqueue(sweep(cube, at=self._clock() + _EVERY))

    def _apply(self, cube: Cube, memory: Memory, rule: LifecycleRule | None) -> None:
        """What is due of one memory; one that changes meanwhile is left to the next time."""
        now = self._clock()
        due = due_step(memory, memory.updated_at, rule, now=now)
        if rule is not None and memory.state is not State.ACTIVATED:
            due = due_step(memory, self._touched(cube, memory), rule, now=now)
        if due is None:
            return
        verb, reason, numbers = due
        try:
            if verb == "erase":
                self._erase(cube, memory, reason, numbers)
            else:
                self._writer.move(
                    cube, memory, verb, reason=reason, actor=None, automatic=True, numbers=numbers
                )
        except (VersionConflict, StateConflict, MemoryNotFound):
            return
        self._gone(cube, memory.id)

    def _erase(
        self, cube: Cube, memory: Memory, reason: str, numbers: Mapping[str, object]
    ) -> None:
        self._erase_for_good(
            cube,
            memory.id,
            if_version=memory.version,
            reason=reason,
            actor=None,
            numbers=numbers,
        )

    def _touched(self, cube: Cube, memory: Memory) -> datetime:
        history = self._stores.memories.history(cube.id, memory.id)
        return last_touch(history) or memory.updated_at


def last_touch(history: Sequence[MemoryVersion]) -> datetime | None:
    """When a memory was last added, changed or brought back."""
    return next((v.changed_at for v in reversed(history) if v.operation in _TOUCHING), None)
