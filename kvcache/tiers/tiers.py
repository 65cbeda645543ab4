"""All tiers as one: look-up, load, promotion, prefetch and forgetting.

A block is looked for on the device, in RAM, on disk, elsewhere, in this order, and what is used is
promoted: from elsewhere to disk, from disk to RAM (if there is a RAM tier), to the device (if there
is a device tier). Each tier's own budget demotes: what leaves the device or RAM is still on disk,
and what leaves the disk is still elsewhere, since every block is copied there when it is stored.
Whether a load is worth it is not decided here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock

import torch
from typing_extensions import Unpack

from memos.errors import MemosError
from memos.kvcache.blocks.block import BlockId, Header, LayerStates, RecurrentState, States
from memos.kvcache.blocks.joining import joined
from memos.kvcache.codecs.coding import decoded
from memos.kvcache.codecs.registry import CODECS
from memos.kvcache.layout import CacheLayout
from memos.kvcache.store.drafting import Details
from memos.kvcache.store.hit import Hit, Segment
from memos.kvcache.store.store import BlockStore
from memos.kvcache.tiers.coming import Coming
from memos.kvcache.tiers.device import Arriving, DeviceCopies, DeviceTier
from memos.kvcache.tiers.exchange import ENDLESS, Exchange, Patience
from memos.kvcache.tiers.lazy import joined_later
from memos.kvcache.tiers.ram import RamTier
from memos.kvcache.tiers.reading import Reader
from memos.kvcache.tiers.remote import RemoteTier


@dataclass(frozen=True)
class TierStats:
    """Bytes held, and loads answered by each tier in this process."""

    ram_bytes: int
    device_bytes: int
    loads: dict[str, int]


class Tiers:
    """Thread-safe. `store` is the disk tier; the others may be missing."""

    def __init__(
        self,
        store: BlockStore,
        *,
        ram: RamTier | None = None,
        device: DeviceTier | None = None,
        remote: RemoteTier | None = None,
    ) -> None:
        self.store, self.ram, self.remote = store, ram, remote
        self._reader = Reader()
        self.device: DeviceTier | None = None
        self._copies: DeviceCopies | None = None
        self._background = ThreadPoolExecutor(1, thread_name_prefix="memos-kv-tiers")
        self._lock = Lock()
        self._loads = dict.fromkeys(("device", "ram", "disk"), 0)
        if ram:
            store.on_removed(ram.shelf.remove)
        if device:
            self.attach(device)
        self._exchange = Exchange(store, remote, self._background) if remote else None

    def attach(self, device: DeviceTier) -> None:
        """From now on states are loaded onto this device; once, before the first load. Apart from
        the beginning since a device is touched only by who has a model on it."""
        self._copies = DeviceCopies(device.device, self._reader)
        self.device = device
        self.store.on_removed(device.shelf.remove)

    def longest(
        self,
        root: bytes,
        tokens: Sequence[int],
        *,
        codecs: Sequence[str] = tuple(CODECS),
        policy: str | None = None,
        patience: Patience = ENDLESS,
    ) -> Hit | None:
        """As the store's, but blocks that are only elsewhere are found too, and brought to disk.

        Where that is not worth waiting for they are brought there in the background, for the next
        one who asks. If elsewhere can't be reached this is the store's
        answer; that is counted.
        """
        hit = self.store.find(root, tokens, codecs=codecs, policy=policy)
        exchange = self._exchange
        if exchange and exchange.pulled(hit, root, tokens, codecs, policy, patience):
            hit = self.store.find(root, tokens, codecs=codecs, policy=policy)
        self.store.note(hit)
        return hit

    def expect(self, root: bytes) -> None:
        """What is elsewhere under a root key will be asked for."""
        if self.remote:
            self.remote.expect(root)

    def find(
        self,
        root: bytes,
        tokens: Sequence[int],
        *,
        codecs: Sequence[str] = tuple(CODECS),
        policy: str | None = None,
    ) -> Hit | None:
        """What is on disk, neither counted nor taken for a use."""
        return self.store.find(root, tokens, codecs=codecs, policy=policy)

    @property
    def generation(self) -> int:
        """As the store's."""
        return self.store.generation

    def load(self, hit: Hit) -> States:
        """States of the hit's tokens, the caller's own: on the device if there is a device tier,
        else on the CPU. BlockNotFound or BlockCorrupt: compute the tokens again."""
        if self.device is None or self._copies is None:
            return joined([self._on_cpu(segment) for segment in hit.segments], self._layout(hit))
        arrivals = self._arrivals(hit.blocks, self.device, self._copies)
        runs = [
            [_own(state, arriving.payload) for state in arriving.states(_rows(segment, arriving))]
            for segment, arriving in zip(hit.segments, arrivals, strict=True)
        ]
        return joined(runs, self._layout(hit))

    def lend(self, hit: Hit) -> States:
        """As `load`, but nobody may write to them, and on the device nothing is copied there:
        they lie in the block that all requests share. Each layer is waited for only when it is
        asked for, and a BlockCorrupt may come as late as that."""
        if self.device is None or self._copies is None:
            return self.load(hit)
        return joined_later(self.lend_apart(hit), self._layout(hit))

    def lend_apart(self, hit: Hit) -> list[States]:
        """The same by segment, of a hit that is lent on a device."""
        assert self.device is not None
        assert self._copies is not None
        arrivals = self._arrivals(hit.blocks, self.device, self._copies)
        return [
            arriving.states(_rows(segment, arriving))
            for segment, arriving in zip(hit.segments, arrivals, strict=True)
        ]

    def coming(self, hit: Hit) -> list[Coming]:
        """The hit's blocks on their way to the device, the last one first, none of them waited for
        nor verified by the caller; give what was used to `keep`. Only where there is a device."""
        assert self.device is not None
        assert self._copies is not None
        found = [self._coming(one, self.device, self._copies) for one in reversed(hit.segments)]
        return found[::-1]

    def keep(self, used: Sequence[Coming]) -> None:
        """What was read for one request may serve the next ones."""
        for one in used:
            if one.fresh and self.device is not None:
                self._added(one.arriving, self.device)
                self._background.submit(self._fetch_into_ram, one.segment.block)

    def held(self, hit: Hit) -> dict[str, int]:
        """Bytes to load by where they are: device, ram, disk."""
        found = dict.fromkeys(("device", "ram", "disk"), 0)
        for segment in hit.segments:
            header = self.store.header(segment.block)
            size = header.payload_bytes * segment.rows // max(1, len(header.tokens))
            found[self._place(segment.block)] += size
        return found

    def prefetch(self, hits: Iterable[Hit]) -> Future[None]:
        """Brings these blocks as near as they get, in the background: onto the device, or into
        RAM, or through the page cache, verified. What fails is left to `load` to report."""
        return self.fetch([segment.block for hit in hits for segment in hit.segments])

    def fetch(self, blocks: Iterable[BlockId]) -> Future[None]:
        """The same for blocks by name."""
        return self._background.submit(self._fetch, list(dict.fromkeys(blocks)))

    def put(
        self,
        root: bytes,
        tokens: Sequence[int],
        start: int,
        states: States,
        *,
        born: int | None = None,
        **details: Unpack[Details],
    ) -> BlockId | None:
        """As the store's; then copied elsewhere in the background."""
        block = self.store.put(root, tokens, start, states, born=born, **details)
        self._copy_away(block)
        return block

    def put_later(
        self,
        root: bytes,
        tokens: Sequence[int],
        start: int,
        states: States,
        *,
        born: int | None = None,
        **details: Unpack[Details],
    ) -> bool:
        """As the store's; then copied elsewhere in the background."""
        return self.store.put_later(
            root, tokens, start, states, born=born, then=self._copy_away, **details
        )

    def flush(self) -> None:
        """Waits for all writes and copies; raises the first error of a write, then of a copy."""
        self.store.flush()
        if self._exchange:
            self._exchange.drain(raising=True)

    def forget(self, source_ids: Collection[str]) -> list[BlockId]:
        """Deletes in every tier what carries one of the sources, and what follows from it."""
        gone = self.store.forget(source_ids)
        if self.remote and self._exchange:
            # A copy that was under way must not come to rest after this has looked.
            self._exchange.drain(raising=False)
            gone = sorted({*gone, *self.remote.forget(source_ids, gone)})
        return gone

    def stats(self) -> TierStats:
        return TierStats(
            ram_bytes=self.ram.shelf.bytes if self.ram else 0,
            device_bytes=self.device.shelf.bytes if self.device else 0,
            loads={**self._loads, "remote": self._exchange.fetched if self._exchange else 0},
        )

    def close(self) -> None:
        """Finishes what is under way. The store stays open for who owns it."""
        self._background.shutdown()
        if self.remote:
            self.remote.close()
        if self._copies:
            self._copies.close()
        self._reader.close()

    def _on_cpu(self, segment: Segment) -> States:
        held = self.ram.get(segment.block) if self.ram else None
        if held:
            self._loads["ram"] += 1
            payload = held.payload()
            own = payload.clone() if held.pinned is not None else payload
            return decoded(held.header, own, _cut(segment, held.header))
        self._loads["disk"] += 1
        file = self.store.file(segment.block)
        self._into_ram(segment.block)
        header = file.head.header
        return decoded(header, file.map(), _cut(segment, header))

    def _arrivals(
        self, blocks: Sequence[BlockId], tier: DeviceTier, copies: DeviceCopies
    ) -> list[Arriving]:
        """The blocks on the device, or on their way there together."""
        held = {block: tier.get(block) for block in blocks}
        missing = [block for block, arriving in held.items() if arriving is None]
        for block, arriving in held.items():
            self._loads["device" if arriving else self._place(block)] += 1
        found = dict(zip(missing, self._to_device(missing, tier, copies), strict=True))
        return [held[block] or found[block] for block in blocks]

    def _place(self, block: BlockId) -> str:
        if self.device is not None and block in self.device.shelf:
            return "device"
        return "ram" if self.ram is not None and block in self.ram.shelf else "disk"

    def _to_device(
        self, blocks: Sequence[BlockId], tier: DeviceTier, copies: DeviceCopies
    ) -> list[Arriving]:
        pinned = {}
        for block in blocks:
            held = self.ram.get(block) if self.ram else None
            if held and held.pinned is not None:
                pinned[block] = (held.header, held.pinned)
        far = [block for block in blocks if block not in pinned]
        files = [self.store.file(block) for block in far]
        found = dict(zip(pinned, copies.from_pinned(list(pinned.values())), strict=True))
        found |= zip(far, copies.from_files(files) if files else [], strict=True)
        for block in far:
            self._background.submit(self._fetch_into_ram, block)
        for arriving in found.values():
            self._added(arriving, tier)
        return [found[block] for block in blocks]

    def _added(self, arriving: Arriving, tier: DeviceTier) -> None:
        block = arriving.header.id
        if tier.add(arriving):
            arriving.on_failure(lambda: tier.shelf.remove(block))
            # What was forgotten while it was on its way is not kept.
            if block not in self.store:
                tier.shelf.remove(block)

    def _coming(self, segment: Segment, tier: DeviceTier, copies: DeviceCopies) -> Coming:
        block = segment.block
        if self._place(block) != "disk":
            return Coming(segment, self._arrivals([block], tier, copies)[0], fresh=False)
        self._loads["disk"] += 1
        arriving = copies.later(self.store.header(block), lambda: self.store.file(block))
        return Coming(segment, arriving, fresh=True)

    def _into_ram(self, block: BlockId) -> None:
        if not self.ram or block in self.ram.shelf:
            return
        # What was forgotten while it was copied is not kept.
        if self.ram.take(self.store.file(block), self._reader) and block not in self.store:
            self.ram.shelf.remove(block)

    def _fetch_into_ram(self, block: BlockId) -> None:
        try:
            self._into_ram(block)
        except MemosError:
            self.store.counts.add("prefetch_error")

    def _fetch(self, blocks: Sequence[BlockId]) -> None:
        for block in blocks:
            try:
                self._into_ram(block)
                if self.device and self._copies:
                    if block not in self.device.shelf:
                        self._to_device([block], self.device, self._copies)[0].finish()
                elif not self.ram:
                    self.store.file(block)
            except MemosError:
                self.store.counts.add("prefetch_error")

    def _copy_away(self, block: BlockId | None) -> None:
        if self._exchange:
            self._exchange.copy_away(block)

    def _layout(self, hit: Hit) -> CacheLayout:
        return self.store.header(hit.blocks[-1]).layout


def _rows(segment: Segment, arriving: Arriving) -> int | None:
    return _cut(segment, arriving.header)


def _cut(segment: Segment, header: Header) -> int | None:
    """The rows that a segment takes of its block; None for all of them."""
    return None if segment.rows == len(header.tokens) else segment.rows


def _own(state: LayerStates | RecurrentState, shared: torch.Tensor) -> LayerStates | RecurrentState:
    """The state without memory in common with `shared`."""

    def apart(tensor: torch.Tensor) -> torch.Tensor:
        same = tensor.untyped_storage().data_ptr() == shared.untyped_storage().data_ptr()
        return tensor.clone() if same else tensor

    if isinstance(state, RecurrentState):
        return replace(state, tensors={name: apart(part) for name, part in state.tensors.items()})
    return replace(state, keys=apart(state.keys), values=apart(state.values))
