"""Blocks in RAM, encoded as on disk: pinned memory where there is CUDA, else anonymous files.

An anonymous file (memfd) is mapped privately for each reader, like a file on disk, so a reader's
writing never reaches the next one. Pinned memory is only ever copied from, to a device. Kept within
a byte budget by the same rule as the disk's. A block is here only under its own address, so what
`memos.kvcache.store.store` says about tenants holds here too.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass

import torch
from torch import Tensor

from memos.kvcache.blocks.block import BlockId, Header
from memos.kvcache.store.opened import OpenedFile
from memos.kvcache.tiers.budget import Budget
from memos.kvcache.tiers.reading import Reader
from memos.kvcache.tiers.shelf import Shelf


@dataclass(eq=False)
class Held:
    """One block's payload, `size` bytes."""

    header: Header
    size: int
    pinned: Tensor | None = None
    descriptor: int = -1

    def payload(self) -> Tensor:
        """uint8 (bytes,). Pinned memory itself, for copying only; else a view of one's own."""
        if self.pinned is not None:
            return self.pinned
        if not self.size:
            return torch.empty(0, dtype=torch.uint8)
        prot = mmap.PROT_READ | mmap.PROT_WRITE
        area = mmap.mmap(self.descriptor, self.size, flags=mmap.MAP_PRIVATE, prot=prot)
        return torch.frombuffer(area, dtype=torch.uint8)

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class RamTier:
    """Thread-safe. `pinned` needs CUDA; it may be set later, for what is taken from then on."""

    def __init__(self, *, budget_bytes: int | Budget, pinned: bool = False) -> None:
        self.shelf: Shelf[Held] = Shelf(budget_bytes=budget_bytes)
        self.pinned = pinned

    def get(self, block: BlockId) -> Held | None:
        return self.shelf.get(block)

    def add(self, header: Header, payload: Tensor) -> bool:
        """Takes a copy of the payload (uint8, CPU). False if it is larger than the budget, or all
        that would have to go is worth more."""
        size = payload.numel()
        if header.id in self.shelf:
            return True
        if size > self.shelf.budget_bytes:
            return False
        return self.shelf.add(header, self._copied(header, payload), size)

    def take(self, file: OpenedFile, reader: Reader) -> bool:
        """As `add`, from a file; into pinned memory it is read in parallel."""
        header = file.head.header
        if not self.pinned:
            return self.add(header, file.map())
        if header.id in self.shelf:
            return True
        if header.payload_bytes > self.shelf.budget_bytes:
            return False
        host = torch.empty(header.payload_bytes, dtype=torch.uint8, pin_memory=True)
        reader.read(file.descriptor, file.head.offset, host)
        return self.shelf.add(header, Held(header, host.numel(), pinned=host), host.numel())

    def _copied(self, header: Header, payload: Tensor) -> Held:
        size = payload.numel()
        if self.pinned:
            return Held(header, size, pinned=payload.pin_memory())
        descriptor = os.memfd_create("memos-kv", os.MFD_CLOEXEC)
        held = Held(header, size, descriptor=descriptor)
        if size:
            os.ftruncate(descriptor, size)
            with mmap.mmap(descriptor, size) as area:
                target = torch.frombuffer(area, dtype=torch.uint8)
                target.copy_(payload)
                del target  # the area can't be closed while a tensor looks at it
        return held
