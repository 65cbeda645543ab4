"""Parallel reads of a file into memory that is there already: one preadv per part and thread.

One thread's reads don't saturate a fast disk, nor copying out of the page cache a fast bus; several
do. The memory may be pinned, so that a device can fetch it while later parts are still read. It
knows neither blocks nor devices.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor

from memos.errors import BlockCorrupt
from memos.kvcache.blocks.file import bytes_of

THREADS = max(2, min(8, os.cpu_count() or 2))
"""More than eight don't read faster, neither from a disk nor from the page cache."""
PART_BYTES = 8 << 20
"""Bytes of one read; smaller parts cost more calls, larger ones leave threads idle."""

Range = tuple[int, int]
"""First byte and the byte after the last."""


class Reader:
    """A pool of threads for reads. Thread-safe."""

    def __init__(self, *, threads: int = THREADS, part_bytes: int = PART_BYTES) -> None:
        self._part = part_bytes
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="memos-kv-read")

    def read(self, descriptor: int, offset: int, into: Tensor) -> None:
        """Fills `into` (uint8, CPU, contiguous) with the file's bytes from `offset` on."""
        for part in self.start(descriptor, offset, into, [(0, into.numel())]):
            part.result()

    def start(
        self, descriptor: int, offset: int, into: Tensor, ranges: Sequence[Range]
    ) -> list[Future[None]]:
        """One future per range of `into`; it ends when the range is read, in about their order.

        BlockCorrupt from a future if the file ends too early. The descriptor must stay open.
        """
        memory = bytes_of(into)
        return [self._range(descriptor, offset, memory, first, last) for first, last in ranges]

    def close(self) -> None:
        self._pool.shutdown()

    def _range(
        self, descriptor: int, offset: int, memory: memoryview, first: int, last: int
    ) -> Future[None]:
        parts = [
            self._pool.submit(
                _filled, descriptor, memory[at : min(at + self._part, last)], offset + at
            )
            for at in range(first, last, self._part)
        ]
        return _all(parts)


def _filled(descriptor: int, memory: memoryview, offset: int) -> None:
    while memory:
        count = os.preadv(descriptor, [memory], offset)
        if not count:
            raise BlockCorrupt(f"the file ends at byte {offset}, {len(memory)} too early")
        memory, offset = memory[count:], offset + count


def _all(parts: Sequence[Future[None]]) -> Future[None]:
    """A future for all of `parts`; waiting is done by who asks for its result."""
    if len(parts) == 1:
        return parts[0]
    return _Joined(parts)


class _Joined(Future[None]):
    def __init__(self, parts: Sequence[Future[None]]) -> None:
        super().__init__()
        self._parts = parts

    def result(self, timeout: float | None = None) -> None:
        for part in self._parts:
            part.result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        errors = [part.exception(timeout) for part in self._parts]
        return next((error for error in errors if error), None)
