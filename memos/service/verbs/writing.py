"""The verbs that change memories and their links."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from memos.messages import Defaults, Item, as_items, in_parts
from memos.service.verbs.base import Verbs
from memos.types import UNSET, Added, AddProgress, Image, Kind, Link, Memory, Unset
from memos.validation import check_label, check_limit, check_text, to_member


class WriteVerbs(Verbs):
    """add, add_batch, update, forget, restore, link, unlink."""

    def add(
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
        """Stores one or many memories, all or none; durable when it returns.

        The keyword fields are defaults for items that do not set them. With `wait` the memories are
        searchable on return; without, words find them at once and a job (its id is in the
        answer) makes them findable by meaning.
        """
        with self._service.foreground.request():
            added = self._service.adder.add(
                self._cube(cube),
                as_items(content),
                Defaults(
                    kind=to_member("kind", kind, Kind),
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
                idempotency_key=idempotency_key,
                actor=self._actor,
            )
        self._service.worker.wake()
        return added

    def add_batch(
        self,
        items: Iterable[Item],
        *,
        cube: str = "default",
        batch_size: int = 256,
        **defaults: Any,
    ) -> Iterator[AddProgress]:
        """Stores any number of items in parts; each part yielded is durable and searchable.

        `defaults` are the keyword fields of `add`. An error stops the batch; what was yielded
        stays.
        """
        check_limit("batch_size", batch_size, self._service.settings)
        done = 0
        for part in in_parts(items, min(batch_size, self._service.settings.max_batch)):
            added = self.add(part, cube=cube, **defaults)
            done += len(added.memories)
            yield AddProgress(done=done, ids=tuple(memory.id for memory in added.memories))

    def update(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
        content: str | Unset = UNSET,
        kind: Kind | Unset = UNSET,
        speaker: str | Unset | None = UNSET,
        occurred_at: datetime | Unset | None = UNSET,
        place: str | Unset | None = UNSET,
        images: tuple[Image, ...] | Unset = UNSET,
        metadata: Mapping[str, Any] | Unset = UNSET,
        priority: float | Unset = UNSET,
        expires_at: datetime | Unset | None = UNSET,
    ) -> Memory:
        """Makes a new version; the former ones stay in the history.

        VersionConflict if `if_version` is not the present version.
        """
        given = {
            "content": content,
            "kind": kind if kind is UNSET else to_member("kind", kind, Kind),
            "speaker": speaker,
            "occurred_at": occurred_at,
            "place": place,
            "images": images,
            "metadata": metadata,
            "priority": priority,
            "expires_at": expires_at,
        }
        with self._service.foreground.request():
            return self._service.writer.update(
                self._cube(cube),
                id,
                {name: value for name, value in given.items() if value is not UNSET},
                if_version=if_version,
                reason=reason,
                actor=self._actor,
            )

    def forget(
        self,
        id: str,
        *,
        cube: str = "default",
        erase: bool = False,
        if_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """Takes the memory out of search; `restore` brings it back.

        With `erase` its text, versions, vector, terms and links are removed from every store for
        good, and a tombstone without content is left.
        """
        target, service = self._cube(cube), self._service
        if erase:
            service.eraser.erase(
                target, id, if_version=if_version, reason=reason, actor=self._actor
            )
            return service.stores.memories.get(target.id, [id])[id]
        return service.forgetter.forget(
            target,
            id,
            operation="forget",
            if_version=if_version,
            reason=reason,
            actor=self._actor,
        )

    def restore(self, id: str, *, cube: str = "default", reason: str | None = None) -> Memory:
        """Undoes `forget`. StateConflict if the memory was not forgotten."""
        return self._service.forgetter.restore(
            self._cube(cube), id, reason=reason, actor=self._actor
        )

    def link(
        self,
        source_id: str,
        target_id: str,
        *,
        cube: str = "default",
        relation: str = "related",
        reason: str | None = None,
    ) -> Link:
        """Connects two memories of a cube. The same link again is the same link."""
        check_label("relation", relation)
        if reason is not None:
            check_text("reason", reason)
        service = self._service
        return service.stores.links.put(
            Link(
                id=service.new_id(),
                cube_id=self._cube(cube).id,
                source_id=source_id,
                target_id=target_id,
                relation=relation,
                reason=reason,
                created_at=service.clock(),
            )
        )

    def unlink(self, link_id: str, *, cube: str = "default") -> None:
        service = self._service
        service.stores.links.remove(self._cube(cube).id, link_id, at=service.clock())
