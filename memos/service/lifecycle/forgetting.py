"""Forgetting softly, and bringing back, with all that hangs on a memory.

The step itself is the writer's; what follows it is done at once, and by a job besides where the
process dies in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from memos.errors import Conflict, EventNotFound
from memos.protocols import Stores
from memos.scheduler import Handler, JobContext
from memos.service.background.handling import unless_cube_gone
from memos.service.lifecycle.following import FOLLOW, RETURN, Following
from memos.service.lifecycle.lifecycle import Lifecycle
from memos.service.memories.repeating import repeated
from memos.service.memories.writing import Writer
from memos.types import Cube, Event, Memory, State


class Forgetter:
    """For all tenants. `gone` is called of each memory that left the search, to drop what is held
    of it in RAM and on disk."""

    def __init__(
        self,
        stores: Stores,
        writer: Writer,
        lifecycle: Lifecycle,
        *,
        gone: Callable[[Cube, str], None],
    ) -> None:
        self._stores = stores
        self._writer = writer
        self._following: Following = writer.following
        self._lifecycle = lifecycle
        self._gone = gone

    def table(self) -> Mapping[str, Handler]:
        return {
            FOLLOW: unless_cube_gone(self._follow_up),
            RETURN: unless_cube_gone(self._return),
        }

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
        """Archived, to be restored at will; `operation` is its name in the history."""
        done = repeated(
            if_version,
            lambda: self._writer.forget(
                cube,
                memory_id,
                operation=operation,
                if_version=if_version,
                reason=reason,
                actor=actor,
            ),
        )
        self._follow(cube, memory_id, done.version, actor)
        self._gone(cube, memory_id)
        return done

    def restore(
        self, cube: Cube, memory_id: str, *, reason: str | None, actor: str | None
    ) -> Memory:
        """Brings a memory back, and those that followed it when it was forgotten."""

        def bring_back() -> tuple[Memory, Event | None]:
            followed = self._following.followed(cube, self._writer.current(cube, memory_id))
            jobs = []
            if followed is not None:
                jobs = self._following.returning(cube, followed, actor=actor)
            back = self._writer.restore(cube, memory_id, reason=reason, actor=actor, jobs=jobs)
            return back, followed

        back, followed = repeated(None, bring_back)
        if followed is not None:
            self._take_back(cube, followed, reason, actor)
        return back

    def undo(
        self, cube: Cube, event: Event, *, reason: str | None, actor: str | None
    ) -> tuple[Memory, ...]:
        """Takes back what an event tells of, as `Lifecycle.undo`; if that was a forgetting, those
        that followed come back too."""
        followed = self._followed_in(cube, event)
        jobs = [
            job for one in followed for job in self._following.returning(cube, one, actor=actor)
        ]
        done = self._lifecycle.undo(cube, event, reason=reason, actor=actor, jobs=jobs)
        for one in followed:
            self._take_back(cube, one, reason, actor)
        return done

    def _followed_in(self, cube: Cube, event: Event) -> list[Event]:
        """The events in which others followed the memories that an event put away."""
        ids = [step.memory_id for step in event.undo if step.version is not None]
        memories = self._stores.memories.get(cube.id, ids).values()
        gone = [memory for memory in memories if memory.state is State.ARCHIVED]
        found = [self._following.followed(cube, memory) for memory in gone]
        return [one for one in found if one is not None and one.id != event.id]

    def _follow(self, cube: Cube, memory_id: str, version: int, actor: str | None) -> None:
        for deed in self._following.follow(cube, memory_id, version, actor=actor):
            for move in deed.moves:
                self._gone(cube, move.memory_id)

    def _take_back(
        self, cube: Cube, followed: Event, reason: str | None, actor: str | None
    ) -> None:
        with suppress(Conflict):  # one of them has changed since, and stays as it is
            self._lifecycle.undo(cube, followed, reason=reason, actor=actor)

    def _follow_up(self, context: JobContext) -> None:
        payload = context.job.payload
        self._follow(
            self._cube(context), payload["memory_id"], payload["version"], payload["actor"]
        )

    def _return(self, context: JobContext) -> None:
        """Undone once only: the second time all of them have changed since."""
        cube, payload = self._cube(context), context.job.payload
        with suppress(EventNotFound):
            event = self._stores.events.get(cube.tenant_id, payload["event_id"])
            self._take_back(cube, event, None, payload["actor"])

    def _cube(self, context: JobContext) -> Cube:
        return self._stores.cubes.get(context.job.tenant_id, context.job.cube_id or "")
