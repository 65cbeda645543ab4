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
from memos.kvcache.tiers.reading import Reader

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
        return self.copies([(target, source)])[0]

    def copies(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> list[Mark]:
        """The same for several, (target, source) each: to turn to the stream for each of many takes
        longer than to queue it."""
        if self._stream is None:
            for target, source in pairs:
                target.copy_(source)
            return [None] * len(pairs)
        marks: list[Mark] = []
        with torch.cuda.stream(self._stream):
            for target, source in pairs:
                target.copy_(source, non_blocking=True)
                event = torch.cuda.Event()  # type: ignore[no-untyped-call]
                event.record(self._stream)
                marks.append(event)
        return marks


@dataclass(eq=False)
class _Slot:
    memory: Tensor
    copied: Mark = None


@dataclass(frozen=True, eq=False)
class Transfer:
    """Bytes [first, last) of a payload, which begins at `offset` of an open file; `sent` gets their
    mark. The descriptor must stay open until then."""

    descriptor: int
    offset: int
    payload: Tensor
    first: int
    last: int
    sent: Future[Mark]


@dataclass(frozen=True, eq=False)
class _Part:
    """Bytes [first, last) of a payload, read into a slot. `ends`: they are the transfer's last."""

    transfer: Transfer
    first: int
    last: int
    ends: bool
    slot: _Slot
    read: Future[None]

    def forward(self, bus: Bus) -> None:
        self.read.result()
        source = self.slot.memory[: self.last - self.first]
        self.slot.copied = mark = bus.copy(self.transfer.payload[self.first : self.last], source)
        if self.ends:
            self.transfer.sent.set_result(mark)


@dataclass(eq=False)
class Staging:
    """The ring of one device. One load at a time: whoever calls `send` must see to that."""

    bus: Bus
    reader: Reader
    slot_bytes: int = SLOT_BYTES
    slots: int = SLOTS
    _ring: deque[_Slot] = field(default_factory=deque, repr=False)

    def send(self, transfers: Sequence[Transfer]) -> None:
        """Fills the payloads, in this order. Each `sent` gets its mark as soon as all of its bytes
        were read and their copy queued; after an error, all the others get that."""
        under_way: deque[_Part] = deque()
        try:
            for transfer in transfers:
                for first, last, ends in self._cut(transfer):
                    if len(under_way) >= max(1, self.slots // 2):
                        under_way.popleft().forward(self.bus)
                    under_way.append(self._read(transfer, first, last, ends))
            while under_way:
                under_way.popleft().forward(self.bus)
        except Exception as error:  # whoever waits for a range must hear of it, whatever it is
            _settle(under_way)
            for transfer in transfers:
                if not transfer.sent.done():
                    transfer.sent.set_exception(_told(error))

    def _cut(self, transfer: Transfer) -> Iterator[tuple[int, int, bool]]:
        if transfer.first == transfer.last:
            yield transfer.first, transfer.last, True
        for at in range(transfer.first, transfer.last, self.slot_bytes):
            end = min(at + self.slot_bytes, transfer.last)
            yield at, end, end == transfer.last

    def _read(self, transfer: Transfer, first: int, last: int, ends: bool) -> _Part:
        slot = self._free()
        into, at = slot.memory[: last - first], transfer.offset + first
        read = self.reader.start(transfer.descriptor, at, into, [(0, last - first)])[0]
        return _Part(transfer, first, last, ends, slot, read)

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


def _settle(parts: deque[_Part]) -> None:
    """No read may write to a slot that the next load gets."""
    for part in parts:
        part.read.exception()


def _told(error: Exception) -> Exception:
    if isinstance(error, OSError):
        reason = os.strerror(error.errno) if error.errno else str(error)
        return BlockCorrupt(f"the file of a block can't be read: {reason}")
    return error
