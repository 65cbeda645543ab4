"""The verbs of the lifecycle, for the sync client."""

from __future__ import annotations

from memos.client.requests import lifecycle as requests
from memos.client.sync.base import Verbs
from memos.types import Kind, LifecycleRule, Memory


class LifecycleVerbs(Verbs):
    """StateConflict for a step that the lifecycle does not have."""

    def archive(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """Out of search, as by `forget`; `restore` brings it back."""
        return self._send(
            requests.step(
                id,
                "archive",
                cube=cube,
                if_version=if_version,
                reason=reason,
                idempotency_key=self._key(),
            )
        )

    def freeze(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """Kept as it is: found, but not changed, merged, archived or expired, until `thaw`."""
        return self._send(
            requests.step(
                id,
                "freeze",
                cube=cube,
                if_version=if_version,
                reason=reason,
                idempotency_key=self._key(),
            )
        )

    def thaw(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """Undoes `freeze`."""
        return self._send(
            requests.step(
                id,
                "thaw",
                cube=cube,
                if_version=if_version,
                reason=reason,
                idempotency_key=self._key(),
            )
        )

    def expire(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """Its time is over: the last state before an erase. `restore` still brings it back."""
        return self._send(
            requests.step(
                id,
                "expire",
                cube=cube,
                if_version=if_version,
                reason=reason,
                idempotency_key=self._key(),
            )
        )

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
        return self._send(
            requests.rollback(
                id,
                version,
                cube=cube,
                if_version=if_version,
                reason=reason,
                idempotency_key=self._key(),
            )
        )

    def undo(
        self, event_id: str, *, cube: str = "default", reason: str | None = None
    ) -> tuple[Memory, ...]:
        """Takes back what an event tells of: its memories as they were before, all or none.
        StateConflict if there is no way back; VersionConflict if one was changed since."""
        return self._send(
            requests.undo(event_id, cube=cube, reason=reason, idempotency_key=self._key())
        )

    def lifecycle_rules(self, *, cube: str = "default") -> tuple[LifecycleRule, ...]:
        """By kind."""
        return self._send(requests.rules(cube=cube))

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
        return self._send(
            requests.set_rule(
                kind,
                cube=cube,
                archive_after=archive_after,
                expire_after=expire_after,
                erase_after=erase_after,
                idempotency_key=self._key(),
            )
        )
