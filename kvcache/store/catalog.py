"""What a process knows of the folder: the tree, sizes, pins, priorities. Rebuilt from the headers.

Kept in step with the folder by looking at its state before each use: what other processes stored is
added, what they deleted is removed. Payloads are not read here.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from threading import RLock

from memos.errors import BlockCorrupt, BlockNotFound
from memos.kvcache.blocks.block import BlockId, Header
from memos.kvcache.blocks.file import opened, read_head
from memos.kvcache.store.folder import Folder, Signature, State, signature_of
from memos.kvcache.store.priorities import Priorities
from memos.kvcache.store.tree import Tree

Removed = Callable[[BlockId], None]


class Catalog:
    """`lock` guards all of it; it is never held while waiting for the folder's lock."""

    def __init__(self, folder: Folder) -> None:
        self.lock = RLock()
        self.tree = Tree()
        self.priorities = Priorities()
        self.pinned: set[BlockId] = set()
        self.bytes = 0
        self._folder = folder
        self._files: dict[BlockId, Signature] = {}
        self._bad: dict[BlockId, Signature] = {}
        self._using: Counter[BlockId] = Counter()
        self._seen: State | None = None
        self._listeners: list[Removed] = []

    def on_removed(self, listener: Removed) -> None:
        """Called with each block that is gone, whoever deleted it, so that copies are dropped."""
        self._listeners.append(listener)

    def sync(self) -> dict[BlockId, tuple[str, Signature]]:
        """Takes over what changed in the folder. Returns damaged files, each once: the reason and
        which file it was."""
        with self.lock:
            state = self._folder.state()
            if state == self._seen:
                return {}
            listing = self._folder.listing()
            for block in [block for block in self._files if block not in listing]:
                self.remove(block)
            bad = self._read_new(listing)
            self.pinned = self._folder.pinned()
            self._seen = state
            return bad

    def noted(self, state: State) -> None:
        """What this process just changed, as the only writer, is in here already."""
        with self.lock:
            self._seen = state

    def add(self, header: Header, signature: Signature) -> None:
        with self.lock:
            block = header.id
            self.bytes += signature[2] - self.size(block)
            if block not in self._files:
                self.priorities.add(block, flops=header.flops, size=signature[2])
            self._files[block] = signature
            self.tree.add(header)

    def remove(self, block: BlockId) -> None:
        """Nothing happens if it is not there."""
        with self.lock:
            self.bytes -= self.size(block)
            self._files.pop(block, None)
            self.pinned.discard(block)
            self.priorities.remove(block)
            self.tree.remove(block)
        for listener in self._listeners:
            listener(block)

    def size(self, block: BlockId) -> int:
        """Bytes of its file, 0 if there is none."""
        signature = self._files.get(block)
        return signature[2] if signature else 0

    def header(self, block: BlockId) -> Header:
        with self.lock:
            header = self.tree.header(block)
        if header is None:
            raise BlockNotFound(f"there is no block {block} any more; compute its tokens again")
        return header

    def evictable(self, keep: Collection[BlockId]) -> BlockId | None:
        """The next to go: no children, not pinned, not being read, not among `keep`."""
        with self.lock:
            free = (
                block
                for block in self._files
                if block not in keep
                and block not in self.pinned
                and not self._using[block]
                and self.tree.leaf(block)
            )
            return self.priorities.least(free)

    @contextmanager
    def using(self, blocks: Collection[BlockId]) -> Iterator[None]:
        """Not evicted by this process meanwhile. Another may: what is mapped stays readable."""
        with self.lock:
            self._using.update(blocks)
        try:
            yield
        finally:
            with self.lock:
                self._using.subtract(blocks)
                self._using = +self._using

    def _read_new(self, listing: dict[BlockId, Signature]) -> dict[BlockId, tuple[str, Signature]]:
        bad = {}
        self._bad = {block: sign for block, sign in self._bad.items() if listing.get(block) == sign}
        for block, signature in listing.items():
            if signature in (self._files.get(block), self._bad.get(block)):
                continue
            try:
                self.add(*_header_of(self._folder, block))
            except FileNotFoundError:  # deleted since the listing
                continue
            except BlockCorrupt as error:
                self._bad[block] = signature
                bad[block] = (str(error), signature)
                self.remove(block)
        return bad


def _header_of(folder: Folder, block: BlockId) -> tuple[Header, Signature]:
    descriptor = opened(folder.path(block))
    try:
        signature = signature_of(os.fstat(descriptor))
        header = read_head(descriptor).header
    finally:
        os.close(descriptor)
    if header.id != block:
        raise BlockCorrupt(f"the file of block {block} holds block {header.id}")
    return header, signature
