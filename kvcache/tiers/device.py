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
from functools import partial
from itertools import zip_longest

import torch
from torch import Tensor

from memos.errors import DeviceUnavailable
from memos.kvcache.blocks.block import BlockId, Header, LayerRecord, States
from memos.kvcache.codecs.base import Codec
from memos.kvcache.codecs.raw import Raw, stacked_views
from memos.kvcache.codecs.registry import codec_named
from memos.kvcache.codecs.together import decode, groups
from memos.kvcache.store.opened import OpenedFile
from memos.kvcache.tiers.budget import Budget
from memos.kvcache.tiers.lazy import LazyStates, State
from memos.kvcache.tiers.reading import Range, Reader
from memos.kvcache.tiers.shelf import Shelf
from memos.kvcache.tiers.staging import SLOT_BYTES, Bus, Mark, Staging, Transfer


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
    task: Future[None] | None = None
    """The reading of a file in the background; None if the bytes come from RAM."""
    readers: set[int] = field(default_factory=set)
    """Streams that torch knows to read the payload, so that it is not reused under them."""
    _there: bool = field(default=False, repr=False)

    def states(self, rows: int | None = None) -> States:
        """All layers, each made when it is asked for: the CPU waits until its bytes are read, the
        current stream until they are there. Without decoding they are views of the payload; with
        it, alike layers are made together. BlockCorrupt, then, if the file can't be read after all.
        """
        header = self.header
        if header.codec == Raw.name:
            views = stacked_views(self.payload, header, rows)
            if views is not None and self._settled():
                return views
            if views is not None:
                return LazyStates(len(self.sent), partial(self._viewed, views, _Following(self)))
        codec = codec_named(header.codec)
        made: dict[int, State] = {}
        following = _Following(self)
        whole = {at: one for one in groups(codec, header.records, header.layout) for at in one}

        def make(at: int) -> State:
            if at not in made:
                for layer in whole[at]:
                    following.wait(layer)
                made.update(zip(whole[at], self._decoded(codec, whole[at], rows), strict=True))
            return made.pop(at)

        return LazyStates(len(self.sent), make)

    def layers(self, rows: int | None = None) -> Iterator[States]:
        """Layer by layer."""
        yield from ([state] for state in self.states(rows))

    def finish(self) -> None:
        """Waits until all of it is there."""
        for sent in self.sent:
            mark = sent.result()
            if mark is not None:
                mark.synchronize()

    @property
    def there(self) -> bool:
        """Whether all of it has arrived; False for what never will."""
        if not self._there:
            if not all(sent.done() and not sent.exception() for sent in self.sent):
                return False
            mark = self.sent[-1].result() if self.sent else None
            self._there = mark is None or bool(mark.query())  # type: ignore[no-untyped-call]
        return self._there

    def on_failure(self, act: Callable[[], object]) -> None:
        """Calls `act`, on some thread, if the payload does not arrive."""

        def look(last: Future[Mark]) -> None:
            if last.exception() is not None:
                act()

        self.sent[-1].add_done_callback(look)

    def _viewed(self, views: States, following: _Following, at: int) -> State:
        following.wait(at)
        return views[at]

    def _decoded(self, codec: Codec, layers: range, rows: int | None) -> Sequence[State]:
        header = self.header
        if len(layers) > 1:
            return decode(codec, self.payload, header.records, header.layout, layers, rows=rows)
        return codec.decode(self.payload, header.records, header.layout, rows=rows, layers=layers)

    def _settled(self) -> bool:
        """Whether the current stream has nothing to wait for in any layer: no call for each then,
        of a block that has long arrived."""
        if not self.there:
            return False
        _Following(self).wait(len(self.sent) - 1)
        return True


class _Following:
    """The stream of one forward pass, which asks for layer after layer: to ask torch each time
    which stream is the current one takes longer than to queue a wait."""

    def __init__(self, arriving: Arriving) -> None:
        self._arriving = arriving
        self._stream: torch.cuda.Stream | None = None

    def wait(self, at: int) -> None:
        """Until layer `at` is there: the CPU until it is read, the stream for the rest."""
        mark = self._arriving.sent[at].result()
        if mark is None:
            return
        if self._stream is None:
            self._stream = self._begun()
        self._stream.wait_event(mark)

    def _begun(self) -> torch.cuda.Stream:
        payload, readers = self._arriving.payload, self._arriving.readers
        stream = torch.cuda.current_stream(payload.device)
        if stream.cuda_stream not in readers:
            readers.add(stream.cuda_stream)
            payload.record_stream(stream)
        return stream


class DeviceCopies:
    """Starts copies to one device on a stream of its own. Thread-safe."""

    def __init__(self, device: str | torch.device, reader: Reader) -> None:
        self.device = cuda_device(device)
        self._bus = Bus(self.device)
        self._staging = Staging(self._bus, reader)
        # One thread: the bus is one, and loads in turn end sooner than loads at once.
        self._sending = ThreadPoolExecutor(1, thread_name_prefix="memos-kv-device")

    def from_files(self, files: Sequence[OpenedFile]) -> list[Arriving]:
        """Reads the payloads in parallel through pinned memory; each part leaves as it is read. Of
        several files first the first layer of each, then the second: so the layers of a text in
        several blocks are whole one after another."""
        made = [self._arriving(file.head.header) for file in files]

        def send() -> None:  # keeps `files`, and so their descriptors, until all is read
            turns = zip_longest(
                *(_transfers(one, file) for one, file in zip(made, files, strict=True))
            )
            self._staging.send([one for turn in turns for one in turn if one is not None])

        task = self._sending.submit(send)
        for arriving in made:
            arriving.task = task
        return made

    def later(self, header: Header, opened: Callable[[], OpenedFile]) -> Arriving:
        """The same of one file that is opened, and so verified, in the background too; what
        `opened` raises is told to who waits for a layer."""
        arriving = self._arriving(header)

        def send() -> None:
            try:
                file = opened()
            except Exception as error:
                for sent in arriving.sent:
                    sent.set_exception(error)
                return
            self._staging.send(list(_transfers(arriving, file)))

        arriving.task = self._sending.submit(send)
        return arriving

    def from_pinned(self, blocks: Sequence[tuple[Header, Tensor]]) -> list[Arriving]:
        """In the same order. The memory may go at once: torch keeps what is pinned until copies
        from it are over."""
        made = [self._arriving(header) for header, _ in blocks]
        turns = zip_longest(
            *(_copies(one, host) for one, (_, host) in zip(made, blocks, strict=True))
        )
        copies = [copy for turn in turns for copy in turn if copy is not None]
        marks = self._bus.copies([(target, source) for _, target, source in copies])
        for (sent, _, _), mark in zip(copies, marks, strict=True):
            for one in sent:
                one.set_result(mark)
        return made

    def close(self) -> None:
        """Finishes what is under way."""
        self._sending.shutdown()

    def _arriving(self, header: Header) -> Arriving:
        layers = len(header.records)
        payload = self._bus.target(header.payload_bytes)
        return Arriving(header, payload, [Future() for _ in range(layers)])


def _transfers(arriving: Arriving, file: OpenedFile) -> Iterator[Transfer]:
    """A block's layers, in their order."""
    header = arriving.header
    ranges = layer_ranges(header.records, header.payload_bytes)
    for (first, last), sent in zip(ranges, arriving.sent, strict=True):
        yield Transfer(file.descriptor, file.head.offset, arriving.payload, first, last, sent)


def _copies(
    arriving: Arriving, host: Tensor
) -> Iterator[tuple[Sequence[Future[Mark]], Tensor, Tensor]]:
    """A block's copies, in the order of its layers: (whom to tell, target, source)."""
    ranges = layer_ranges(arriving.header.records, host.numel())
    for layers in copied_together(ranges):
        part = slice(ranges[layers[0]][0], ranges[layers[-1]][1])
        yield arriving.sent[layers.start : layers.stop], arriving.payload[part], host[part]


class DeviceTier:
    """Encoded payloads on the device. Thread-safe.

    A payload that is held is shared between requests, which read it where it lies.
    """

    def __init__(self, device: str | torch.device, *, budget_bytes: int | Budget) -> None:
        self.device = cuda_device(device)
        self.shelf: Shelf[Arriving] = Shelf(budget_bytes=budget_bytes)

    def get(self, block: BlockId) -> Arriving | None:
        return self.shelf.get(block)

    def add(self, arriving: Arriving) -> bool:
        """False if it is larger than the budget or worth less than what is held."""
        return self.shelf.add(arriving.header, arriving, arriving.payload.numel())


def copied_together(ranges: Sequence[Range], least_bytes: int = SLOT_BYTES) -> list[range]:
    """Layers whose bytes go in one copy: of small ones what takes the time is to start it."""
    found: list[range] = []
    first = 0
    for at, (_, last) in enumerate(ranges):
        if last - ranges[first][0] >= least_bytes or at == len(ranges) - 1:
            found.append(range(first, at + 1))
            first = at + 1
    return found


def layer_ranges(records: Sequence[LayerRecord], size: int) -> list[Range]:
    """The bytes of each layer in a payload of `size` bytes: one after another, none left out."""
    ranges: list[Range] = []
    last = size
    for record in reversed(records):
        first = min((piece.offset for piece in record.pieces.values()), default=last)
        ranges.append((first, last))
        last = first
    return ranges[::-1]
