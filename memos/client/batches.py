"""Cuts an endless run of items into parts that one request carries each.

Knows sizes only. One request per part, not one for the whole run: an HTTP/1.1 client sends its
whole body before it reads the answer, so a long enough run would fill the buffers of both ways and
stand still. And a part with its own idempotency key can be sent again after a broken connection.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable

from memos.client.bodies import item_fields, json_body
from memos.errors import InvalidInput
from memos.messages import Item

MAX_BYTES = 4 << 20
"""Well under the server's default body limit of 8 MiB."""


class Splitter:
    """Holds at most one part. `size` items, or fewer where their JSON would exceed `max_bytes`."""

    def __init__(self, *, size: int, max_bytes: int = MAX_BYTES) -> None:
        if size < 1:
            raise InvalidInput(f"batch_size is {size}; it must be at least 1", field="batch_size")
        self._size = size
        self._max_bytes = max_bytes
        self._items: list[Item] = []
        self._bytes = 0

    def put(self, item: Item) -> list[list[Item]]:
        """Takes an item; the parts that are complete by it, in order (mostly none)."""
        weight = len(json_body(item_fields(item)))
        complete = []
        if self._items and self._bytes + weight > self._max_bytes:
            complete.append(self._take())
        self._items.append(item)
        self._bytes += weight
        if len(self._items) >= self._size:
            complete.append(self._take())
        return complete

    def rest(self) -> list[list[Item]]:
        """What is left at the end."""
        return [self._take()] if self._items else []

    def _take(self) -> list[Item]:
        items, self._items, self._bytes = self._items, [], 0
        return items


async def in_order(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    """Either kind of iterable as an async one."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
