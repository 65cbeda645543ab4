"""Blocks on an accelerator: encoded payloads held there, and copies to it layer by layer.

Copies run on a CUDA stream of their own out of pinned memory. The layers' bytes lie in a payload
in their order, so layer i is on the device, and can be used, while those after it are still read
from the disk or on the bus. Codecs decode on the device. Needs CUDA; without it every way in is a
DeviceUnavailable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import torch
from torch import Tensor

from memos.errors import DeviceUnavailable
from memos.kvcache.blocks.block import BlockId, Header, LayerRecord, States
from memos.kvcache.codecs.raw import Raw, stacked_views
from memos.kvcache.codecs.registry import codec_named
from memos.kvcache.store.opened import OpenedFile
from memos.kvcache.tiers.lazy import LazyStates, State
from memos.kvcache.tiers.reading import Range, Reader
from memos.kvcache.tiers.shelf import Shelf
from memos.kvcache.tiers.staging import Bus, Mark, Staging


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
    """A payload on its way to the device. `sent[i]` is done when all copies of layer i are queued;
    the mark that it gives fires when they are over."""

    header: Header
    payload: Tensor
    sent: Sequence[Future[Mark]]
    readers: set[int] = field(default_factory=set)
    """Streams that torch knows to read the payload, so that it is not reused under them."""

    def states(self, rows: int | None = None) -> States:
        """All layers, each made when it is asked for: the CPU waits until its bytes are read, the
        current stream until they are there. Without decoding they are views of the payload.
        BlockCorrupt, then, if the file can't be read after all."""
        header = self.header
        views = None
        if header.codec == Raw.name:
            views = stacked_views(self.payload, header.records, header.layout, rows)
        return LazyStates(len(self.sent), lambda at: self._layer(at, rows, views))

    def layers(self, rows: int | None = None) -> Iterator[States]:
        """Layer by layer."""
        yield from ([state] for state in self.states(rows))

    def finish(self) -> None:
        """Waits until all of it is there."""
        for sent in self.sent:
            mark = sent.result()
            if mark is not None:
                mark.synchronize()

    def on_failure(self, act: Callable[[], object]) -> None:
        """Calls `act`, on some thread, if the payload does not arrive."""

        def look(last: Future[Mark]) -> None:
            if last.exception() is not None:
                act()

        self.sent[-1].add_done_callback(look)

    def _layer(self, at: int, rows: int | None, views: States | None) -> State:
        mark = self.sent[at].result()
        stream = torch.cuda.current_stream(self.payload.device) if mark is not None else None
        if mark is not None and stream is not None:
            # A block that has long arrived costs no call per layer.
            if not mark.query():  # type: ignore[no-untyped-call]
                stream.wait_event(mark)
            if stream.cuda_stream not in self.readers:
                self.readers.add(stream.cuda_stream)
                self.payload.record_stream(stream)
        if views is not None:
            return views[at]
        codec, header = codec_named(self.header.codec), self.header
        return codec.decode(self.payload, header.records, header.layout, rows=rows, layers=[at])[0]


class DeviceCopies:
    """Starts copies to one device on a stream of its own. Thread-safe."""

    def __init__(self, device: str | torch.device, reader: Reader) -> None:
        self.device = cuda_device(device)
        self._bus = Bus(self.device)
        self._staging = Staging(self._bus, reader)
        # One thread: the bus is one, and loads in turn end sooner than loads at once.
        self._sending = ThreadPoolExecutor(1, thread_name_prefix="memos-kv-device")

    def from_file(self, file: OpenedFile) -> Arriving:
        """Reads the payload in parallel through pinned memory; each part leaves as it is read."""
        header = file.head.header
        ranges = layer_ranges(header.records, header.payload_bytes)
        arriving = self._arriving(header, header.payload_bytes, len(ranges))

        def send() -> None:  # keeps `file`, and so its descriptor, until all is read
            self._staging.send(
                file.descriptor, file.head.offset, arriving.payload, ranges, arriving.sent
            )

        self._sending.submit(send)
        return arriving

    def from_pinned(self, header: Header, host: Tensor) -> Arriving:
        """`host` may go at once: torch keeps pinned memory until copies from it are over."""
        ranges = layer_ranges(header.records, host.numel())
        arriving = self._arriving(header, host.numel(), len(ranges))
        for (first, last), sent in zip(ranges, arriving.sent, strict=True):
            self._bus.copy(arriving.payload[first:last], host[first:last])
            sent.set_result(self._bus.mark())
        return arriving

    def close(self) -> None:
        """Finishes what is under way."""
        self._sending.shutdown()

    def _arriving(self, header: Header, size: int, layers: int) -> Arriving:
        return Arriving(header, self._bus.target(size), [Future() for _ in range(layers)])


class DeviceTier:
    """Encoded payloads on the device. Thread-safe.

    A payload that is held is shared between requests, which read it where it lies.
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
