"""From a file to a device through a ring of host buffers: reads fill it while copies empty it.

Memory that a device can fetch by itself must be locked, and locking gigabytes takes longer than to
read them; a ring of a few buffers is locked once and serves loads of any size. Reads run in several
threads, copies on a stream of their own. It knows neither blocks nor layers.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import torch
from torch import Tensor

from memos.errors import BlockCorrupt
from memos.kvcache.tiers.reading import Range, Reader

SLOT_BYTES = 8 << 20
"""Of one buffer: large enough for the bus, small enough that many threads have one each."""
SLOTS = 24
"""Half of them are being read while the others are copied."""

Mark = torch.cuda.Event | None
"""Fires when all that was copied before it is there; None where copies don't outlast their call."""


class Bus:
    """Copies to one device, in order, on a stream of its own. On the CPU they are plain copies."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.cuda = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if self.cuda else None  # type: ignore[no-untyped-call]

    def target(self, size: int) -> Tensor:
        """uint8 (size,) on the device, for this stream to write to."""
        payload = torch.empty(size, dtype=torch.uint8, device=self.device)
        if self._stream is not None:
            # What was queued on the memory that the allocator gave us must be over first.
            self._stream.wait_stream(torch.cuda.current_stream(self.device))
            payload.record_stream(self._stream)
        return payload

    def copy(self, target: Tensor, source: Tensor) -> Mark:
        """Queues the copy; `source` must stay as it is until the mark has fired, which is after all
        copies so far."""
        if self._stream is None:
            target.copy_(source)
            return None
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self._stream):
            target.copy_(source, non_blocking=True)
            event.record(self._stream)
        return event


@dataclass(eq=False)
class _Slot:
    memory: Tensor
    copied: Mark = None


@dataclass(eq=False)
class _Part:
    """Bytes [first, last) of the payload, read into a slot. `ends`: the range that ends here."""

    first: int
    last: int
    slot: _Slot
    read: Future[None]
    ends: int | None


@dataclass(eq=False)
class Staging:
    """The ring of one device. One load at a time: whoever calls `send` must see to that."""

    bus: Bus
    reader: Reader
    slot_bytes: int = SLOT_BYTES
    slots: int = SLOTS
    _ring: deque[_Slot] = field(default_factory=deque, repr=False)

    def send(
        self,
        descriptor: int,
        offset: int,
        payload: Tensor,
        ranges: Sequence[Range],
        sent: Sequence[Future[Mark]],
    ) -> None:
        """Fills `payload` with the file's bytes from `offset` on. `sent[i]` gets the mark of range
        i as soon as all of it was read and its copy queued; after an error, all the others get it.
        """
        under_way: deque[_Part] = deque()
        try:
            for first, last, ends in self._parts(ranges):
                if len(under_way) >= max(1, self.slots // 2):
                    self._forward(under_way.popleft(), payload, sent)
                slot = self._free()
                into = slot.memory[: last - first]
                read = self.reader.start(descriptor, offset + first, into, [(0, last - first)])[0]
                under_way.append(_Part(first, last, slot, read, ends))
            while under_way:
                self._forward(under_way.popleft(), payload, sent)
        except Exception as error:  # whoever waits for a range must hear of it, whatever it is
            _settle(under_way)
            for future in sent:
                if not future.done():
                    future.set_exception(_told(error))

    def _parts(self, ranges: Sequence[Range]) -> Iterator[tuple[int, int, int | None]]:
        for index, (first, last) in enumerate(ranges):
            if first == last:
                yield first, last, index
            for at in range(first, last, self.slot_bytes):
                end = min(at + self.slot_bytes, last)
                yield at, end, index if end == last else None

    def _free(self) -> _Slot:
        """The slot that was used longest ago, once its copy is over."""
        if len(self._ring) < self.slots:
            slot = _Slot(torch.empty(self.slot_bytes, dtype=torch.uint8, pin_memory=self.bus.cuda))
        else:
            slot = self._ring.popleft()
            if slot.copied is not None:
                slot.copied.synchronize()
        self._ring.append(slot)
        return slot

    def _forward(self, part: _Part, payload: Tensor, sent: Sequence[Future[Mark]]) -> None:
        part.read.result()
        source = part.slot.memory[: part.last - part.first]
        part.slot.copied = mark = self.bus.copy(payload[part.first : part.last], source)
        if part.ends is not None:
            sent[part.ends].set_result(mark)


def _settle(parts: deque[_Part]) -> None:
    """No read may write to a slot that the next load gets."""
    for part in parts:
        part.read.exception()


def _told(error: Exception) -> Exception:
    if isinstance(error, OSError):
        reason = os.strerror(error.errno) if error.errno else str(error)
        return BlockCorrupt(f"the file of a block can't be read: {reason}")
    return error
