"""The verbs of the lifecycle: archive, freeze, thaw, expire, rollback, undo, and the rules."""

from __future__ import annotations

from memos.errors import EventNotFound
from memos.service.verbs.base import Verbs
from memos.types import Kind, LifecycleRule, Memory
from memos.validation import to_member


class LifecycleVerbs(Verbs):
    """Each step is in the memory's history and recorded as an event. StateConflict for one that
    the lifecycle does not have."""

    def archive(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """Out of search, with all that hangs on it, as by `forget`; `restore` brings it back."""
        return self._service.forgetter.forget(
            self._cube(cube),
            id,
            operation="archive",
            if_version=if_version,
            reason=reason,
            actor=self._actor,
        )

    def freeze(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """Kept as it is: found by searches, but not changed, merged, archived or expired by
        anybody or any rule, until `thaw`."""
        return self._step(cube, id, "freeze", if_version, reason)

    def thaw(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """Undoes `freeze`."""
        return self._step(cube, id, "thaw", if_version, reason)

    def expire(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """Its time is over: the last state before an erase. `restore` still brings it back."""
        return self._step(cube, id, "expire", if_version, reason)

    def rollback(
        self,
        id: str,
        version: int,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """A new version that is what `version` was, its state included."""
        with self._service.foreground.request():
            return self._service.lifecycle.rollback(
                self._cube(cube),
                id,
                version,
                if_version=if_version,
                reason=reason,
                actor=self._actor,
            )

    def undo(
        self, event_id: str, *, cube: str = "default", reason: str | None = None
    ) -> tuple[Memory, ...]:
        """Takes back what an event tells of: its memories as they were before, all or none; of a
        forgetting also what went along. StateConflict if there is no way back; VersionConflict if
        one was changed since."""
        target = self._cube(cube)
        event = self._service.stores.events.get(self.tenant_id, event_id)
        if event.cube_id != target.id:
            raise EventNotFound(
                f"cube {target.name!r} has no event {event_id!r}", event_id=event_id
            )
        done = self._service.forgetter.undo(target, event, reason=reason, actor=self._actor)
        self._service.worker.wake()
        return done

    def lifecycle_rules(self, *, cube: str = "default") -> tuple[LifecycleRule, ...]:
        """By kind."""
        return self._service.lifecycle.rules(self._cube(cube))

    def set_lifecycle_rule(
        self,
        kind: Kind,
        *,
        cube: str = "default",
        archive_after: float | None = None,
        expire_after: float | None = None,
        erase_after: float | None = None,
    ) -> LifecycleRule:
        """For memories of a kind: after how many days they are archived, expire and are erased by
        themselves. None of them takes the rule away. PolicyContradiction for spans that don't
        grow."""
        rule = LifecycleRule(
            kind=to_member("kind", kind, Kind),
            archive_after=archive_after,
            expire_after=expire_after,
            erase_after=erase_after,
        )
        done = self._service.lifecycle.set_rule(self._cube(cube), rule, actor=self._actor)
        self._service.worker.wake()
        return done

    def _step(
        self, cube: str, id: str, verb: str, if_version: int | None, reason: str | None
    ) -> Memory:
        return self._service.lifecycle.step(
            self._cube(cube), id, verb, if_version=if_version, reason=reason, actor=self._actor
        )
