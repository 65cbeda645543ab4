"""The verbs of the lifecycle, for the async client."""

from __future__ import annotations

from memos.client.asynchronous.base import AsyncVerbs
from memos.client.requests import lifecycle as requests
from memos.types import Kind, LifecycleRule, Memory


class AsyncLifecycleVerbs(AsyncVerbs):
    """StateConflict for a step that the lifecycle does not have."""

    async def archive(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """Out of search, as by `forget`; `restore` brings it back."""
        return await self._send(
            requests.step(
                id,
                "archive",
                cube=cube,
                if_version=if_version,
                reason=reason,
                idempotency_key=self._key(),
            )
        )

    async def freeze(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """Kept as it is: found, but not changed, merged, archived or expired, until `thaw`."""
        return await self._send(
            requests.step(
                id,
                "freeze",
                cube=cube,
                if_version=if_version,
                reason=reason,
                idempotency_key=self._key(),
            )
        )

    async def thaw(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """Undoes `freeze`."""
        return await self._send(
            requests.step(
                id,
                "thaw",
                cube=cube,
                if_version=if_version,
                reason=reason,
                idempotency_key=self._key(),
            )
        )

    async def expire(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """Its time is over: the last state before an erase. `restore` still brings it back."""
        return await self._send(
            requests.step(
                id,
                "expire",
                cube=cube,
                if_version=if_version,
                reason=reason,
                idempotency_key=self._key(),
            )
        )

    async def rollback(
        self,
        id: str,
        version: int,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """A new version that is what `version` was, its state included."""
        return await self._send(
            requests.rollback(
                id,
                version,
                cube=cube,
                if_version=if_version,
                reason=reason,
                idempotency_key=self._key(),
            )
        )

    async def undo(
        self, event_id: str, *, cube: str = "default", reason: str | None = None
    ) -> tuple[Memory, ...]:
        """Takes back what an event tells of: its memories as they were before, all or none.
        StateConflict if there is no way back; VersionConflict if one was changed since."""
        return await self._send(
            requests.undo(event_id, cube=cube, reason=reason, idempotency_key=self._key())
        )

    async def lifecycle_rules(self, *, cube: str = "default") -> tuple[LifecycleRule, ...]:
        """By kind."""
        return await self._send(requests.rules(cube=cube))

    async def set_lifecycle_rule(
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
        return await self._send(
            requests.set_rule(
                kind,
                cube=cube,
                archive_after=archive_after,
                expire_after=expire_after,
                erase_after=erase_after,
                idempotency_key=self._key(),
            )
        )
