"""The verbs that change memories and their links, for the async client."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from memos.client.asynchronous.base import AsyncVerbs
from memos.client.batches import Splitter, in_order
from memos.client.requests import writing as requests
from memos.messages import Item
from memos.types import UNSET, Added, AddProgress, Image, Kind, Link, Memory, Unset


class AsyncWriteVerbs(AsyncVerbs):
    """add, update, forget, restore, and the links'."""

    async def add(
        self,
        content: Item | Sequence[Item],
        *,
        cube: str = "default",
        kind: Kind = Kind.EPISODIC,
        user_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
        speaker: str | None = None,
        occurred_at: datetime | None = None,
        place: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        priority: float | None = None,
        expires_at: datetime | None = None,
        wait: bool = True,
        idempotency_key: str | None = None,
    ) -> Added:
        """Adds one memory or a list of them; the keyword fields stand in where an item has none.

        Answers when they are durable, and with `wait` also searchable. A key makes a repetition
        by the caller harmless too; without one, each call is safe against its own retries.
        """
        return await self._send(
            requests.add(
                content,
                cube=cube,
                defaults=requests.defaults(
                    kind=kind,
                    user_id=user_id,
                    agent_id=agent_id,
                    session_id=session_id,
                    speaker=speaker,
                    occurred_at=occurred_at,
                    place=place,
                    metadata=metadata,
                    priority=priority,
                    expires_at=expires_at,
                ),
                wait=wait,
                idempotency_key=self._key(idempotency_key),
            )
        )

    async def add_batch(
        self,
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        cube: str = "default",
        kind: Kind = Kind.EPISODIC,
        user_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
        speaker: str | None = None,
        occurred_at: datetime | None = None,
        place: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        priority: float | None = None,
        expires_at: datetime | None = None,
        batch_size: int = 256,
    ) -> AsyncIterator[AddProgress]:
        """Adds any number of items, holding one part at a time; yields what is searchable so far.

        Each part is one request and is retried as one. After an error the parts yielded before
        are kept.
        """
        splitter = Splitter(size=batch_size)
        defaults = requests.defaults(
            kind=kind,
            user_id=user_id,
            agent_id=agent_id,
            session_id=session_id,
            speaker=speaker,
            occurred_at=occurred_at,
            place=place,
            metadata=metadata,
            priority=priority,
            expires_at=expires_at,
        )
        done = 0
        async for item in in_order(items):
            for part in splitter.put(item):
                done += len(part)
                yield await self._add_part(part, cube, defaults, done)
        for part in splitter.rest():
            done += len(part)
            yield await self._add_part(part, cube, defaults, done)

    async def _add_part(
        self, part: list[Item], cube: str, defaults: Mapping[str, Any], done: int
    ) -> AddProgress:
        added = await self._send(
            requests.add(part, cube=cube, defaults=defaults, wait=True, idempotency_key=self._key())
        )
        return AddProgress(done=done, ids=tuple(memory.id for memory in added.memories))

    async def update(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
        content: str | Unset = UNSET,
        kind: Kind | Unset = UNSET,
        place: str | Unset | None = UNSET,
        occurred_at: datetime | Unset | None = UNSET,
        speaker: str | Unset | None = UNSET,
        metadata: Mapping[str, Any] | Unset = UNSET,
        priority: float | Unset = UNSET,
        expires_at: datetime | Unset | None = UNSET,
        images: Sequence[Image] | Unset = UNSET,
    ) -> Memory:
        """Changes the fields that are given; None empties one. VersionConflict if the memory is
        no longer at `if_version`."""
        return await self._send(
            requests.update(
                id,
                cube=cube,
                if_version=if_version,
                reason=reason,
                changes={
                    "content": content,
                    "kind": kind,
                    "place": place,
                    "occurred_at": occurred_at,
                    "speaker": speaker,
                    "metadata": metadata,
                    "priority": priority,
                    "expires_at": expires_at,
                    "images": images,
                },
                idempotency_key=self._key(),
            )
        )

    async def forget(
        self,
        id: str,
        *,
        cube: str = "default",
        erase: bool = False,
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """Archives a memory: not searched, and `restore` brings it back. `erase` deletes its text
        from every store for good and leaves a tombstone."""
        return await self._send(
            requests.forget(
                id,
                cube=cube,
                erase=erase,
                if_version=if_version,
                reason=reason,
                idempotency_key=self._key(),
            )
        )

    async def restore(self, id: str, *, cube: str = "default", reason: str | None = None) -> Memory:
        """Brings an archived memory back. StateConflict if it was erased."""
        return await self._send(
            requests.restore(id, cube=cube, reason=reason, idempotency_key=self._key())
        )

    async def link(
        self,
        source_id: str,
        target_id: str,
        *,
        cube: str = "default",
        relation: str = "related",
        reason: str | None = None,
    ) -> Link:
        """Connects two memories of one cube; the same connection again gives the existing one."""
        return await self._send(
            requests.link(
                source_id,
                target_id,
                cube=cube,
                relation=relation,
                reason=reason,
                idempotency_key=self._key(),
            )
        )

    async def unlink(self, link_id: str, *, cube: str = "default") -> None:
        await self._send(requests.unlink(link_id, cube=cube, idempotency_key=self._key()))
