"""Files of blocks that were opened: verified once per process, mapped anew for each reader.

Each load gets a private mapping (copy on write) of the verified file, so that what a reader does to
its tensors reaches neither the file nor another reader. A file that was replaced, by inode, size or
time of change, is verified anew. It does not know which blocks there should be.
"""

from __future__ import annotations

import mmap
import os
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import torch
from torch import Tensor

from memos.errors import BlockCorrupt
from memos.kvcache.blocks.block import BlockId
from memos.kvcache.blocks.file import Head, check_payload, opened, read_head
from memos.kvcache.store.folder import Signature, signature_of
from memos.kvcache.store.verifying import LARGE_BYTES, check_file

OPEN_FILES = 256
"""Most descriptors held at a time; an older one is closed and opened again when needed."""


@dataclass(eq=False)
class OpenedFile:
    """A verified file. The descriptor is closed with the last reference to this object."""

    descriptor: int
    head: Head
    signature: Signature
    _closed: bool = field(default=False, repr=False)

    def map(self) -> Tensor:
        """The payload as uint8 (bytes,), the caller's own: writing changes nothing on disk."""
        if not self.head.header.payload_bytes:
            return torch.empty(0, dtype=torch.uint8)
        area = mmap.mmap(
            self.descriptor,
            self.head.size,
            flags=mmap.MAP_PRIVATE,
            prot=mmap.PROT_READ | mmap.PROT_WRITE,
        )
        return torch.frombuffer(area, dtype=torch.uint8, offset=self.head.offset)

    def __del__(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self.descriptor)


class OpenedFiles:
    """The verified files of one process, least recently used last to stay. Thread-safe."""

    def __init__(self, limit: int = OPEN_FILES) -> None:
        self._limit = limit
        self._files: OrderedDict[BlockId, OpenedFile] = OrderedDict()
        self._verified: dict[BlockId, Signature] = {}
        self._lock = Lock()

    def open(self, block: BlockId, path: Path) -> OpenedFile:
        """The verified file; FileNotFoundError, or BlockCorrupt with the reason."""
        signature = signature_of(os.stat(path))
        with self._lock:
            known = self._files.get(block)
            if known and known.signature == signature:
                self._files.move_to_end(block)
                return known
            verified = self._verified.get(block)
        fresh = _opened(path, block, verified)
        with self._lock:
            self._files[block] = fresh
            self._verified[block] = fresh.signature
            while len(self._files) > self._limit:
                self._files.popitem(last=False)
        return fresh

    def close(self, block: BlockId) -> None:
        """Forgets the file; readers that have it mapped keep it."""
        with self._lock:
            self._files.pop(block, None)
            self._verified.pop(block, None)

    def close_all(self) -> None:
        with self._lock:
            self._files.clear()
            self._verified.clear()


def _opened(path: Path, block: BlockId, verified: Signature | None) -> OpenedFile:
    descriptor = opened(path)
    try:
        signature = signature_of(os.fstat(descriptor))
        file = OpenedFile(descriptor, read_head(descriptor), signature)
    except BaseException:
        os.close(descriptor)
        raise
    if file.head.header.id != block:
        raise BlockCorrupt(f"the file of block {block} holds block {file.head.header.id}")
    if signature != verified:
        if file.head.size < LARGE_BYTES:
            check_payload(file.head.header, file.map())
        else:
            check_file(descriptor, file.head)
    return file
