"""Blocks on an accelerator: encoded payloads held there, and copies to it layer by layer.

Copies run on a CUDA stream of their own out of pinned memory. The layers' bytes lie in a payload
in their order, so layer i is on the device, and can be used, while those after it are still read
from the disk or on the bus. Codecs decode on the device. Needs CUDA; without it every way in is a
DeviceUnavailable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import torch
from torch import Tensor

from memos.errors import DeviceUnavailable
from memos.kvcache.blocks.block import BlockId, Header, LayerRecord, States
from memos.kvcache.codecs.registry import codec_named
from memos.kvcache.store.opened import OpenedFile
from memos.kvcache.tiers.reading import Range, Reader
from memos.kvcache.tiers.shelf import Shelf


def cuda_device(name: str | torch.device) -> torch.device:
    """The device; DeviceUnavailable if it is no CUDA device or is not there."""
    device = torch.device(name)
    if device.type != "cuda" or not torch.cuda.is_available():
        raise DeviceUnavailable(
            f"states can't be held on {device}: that takes a CUDA device and a torch built for it; "
            "use the RAM and disk tiers"
        )
    if (device.index or 0) >= torch.cuda.device_count():
        raise DeviceUnavailable(
            f"there is no {device}; CUDA devices here: {torch.cuda.device_count()}"
        )
    return device


@dataclass(eq=False)
class Arriving:
    """A payload on its way to the device. `events[i]` fires when layer i is there; `host` is the
    pinned memory it comes from, alive until then."""

    header: Header
    payload: Tensor
    events: Sequence[torch.cuda.Event]
    host: Tensor

    def states(self, rows: int | None = None) -> States:
        """All layers. The current stream waits for them, the CPU does not."""
        return [state for layer in self.layers(rows) for state in layer]

    def layers(self, rows: int | None = None) -> Iterator[States]:
        """Layer by layer, each usable on the current stream as soon as its own bytes are there."""
        header = self.header
        codec = codec_named(header.codec)
        stream = torch.cuda.current_stream(self.payload.device)
        self.payload.record_stream(stream)
        for at, event in enumerate(self.events):
            stream.wait_event(event)
            yield codec.decode(self.payload, header.records, header.layout, rows=rows, layers=[at])

    def finish(self) -> None:
        """Waits until all of it is there."""
        for event in self.events:
            event.synchronize()


class DeviceCopies:
    """Starts copies to one device on a stream of its own."""

    def __init__(self, device: str | torch.device, reader: Reader) -> None:
        self.device = cuda_device(device)
        self._reader = reader
        self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]

    def from_file(self, file: OpenedFile) -> Arriving:
        """Reads the payload in parallel into pinned memory; each layer leaves as it is read."""
        header = file.head.header
        host = torch.empty(header.payload_bytes, dtype=torch.uint8, pin_memory=True)
        ranges = layer_ranges(header.records, header.payload_bytes)
        read = self._reader.start(file.descriptor, file.head.offset, host, ranges)
        return self._started(header, host, ranges, read)

    def from_pinned(self, header: Header, host: Tensor) -> Arriving:
        ranges = layer_ranges(header.records, host.numel())
        return self._started(header, host, ranges, None)

    def _started(
        self,
        header: Header,
        host: Tensor,
        ranges: Sequence[Range],
        read: Sequence[Future[None]] | None,
    ) -> Arriving:
        payload = torch.empty(host.numel(), dtype=torch.uint8, device=self.device)
        # What was queued on the memory that the allocator gave us must be over first.
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        payload.record_stream(self._stream)
        events = []
        with torch.cuda.stream(self._stream):
            for at, (first, last) in enumerate(ranges):
                if read:
                    read[at].result()
                payload[first:last].copy_(host[first:last], non_blocking=True)
                event = torch.cuda.Event()  # type: ignore[no-untyped-call]
                event.record(self._stream)
                events.append(event)
        return Arriving(header, payload, events, host)


class DeviceTier:
    """Encoded payloads on the device. Thread-safe.

    A payload that is held is shared: who decodes it clones what decoding only views.
    """

    def __init__(self, device: str | torch.device, *, budget_bytes: int) -> None:
        self.device = cuda_device(device)
        self.shelf: Shelf[Arriving] = Shelf(budget_bytes=budget_bytes)

    def get(self, block: BlockId) -> Arriving | None:
        return self.shelf.get(block)

    def add(self, arriving: Arriving) -> bool:
        """False if it is larger than the budget or worth less than what is held."""
        return self.shelf.add(arriving.header, arriving, arriving.payload.numel())


def layer_ranges(records: Sequence[LayerRecord], size: int) -> list[Range]:
    """The bytes of each layer in a payload of `size` bytes: one after another, none left out."""
    ranges: list[Range] = []
    last = size
    for record in reversed(records):
        first = min((piece.offset for piece in record.pieces.values()), default=last)
        ranges.append((first, last))
        last = first
    return ranges[::-1]
