"""Changes to a store: room is made, a block is written, blocks are deleted. One writer at a time.

It knows headers and bytes; not codecs, tensors or how a block is found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from memos.errors import StorageFull
from memos.kvcache.blocks.block import BlockId, Header
from memos.kvcache.blocks.file import head_bytes
from memos.kvcache.store.catalog import Catalog
from memos.kvcache.store.counts import Counts
from memos.kvcache.store.folder import Folder, State, translated
from memos.kvcache.store.forgetting import Forgotten
from memos.kvcache.store.quarantine import Quarantine


class Writing:
    def __init__(
        self, folder: Folder, catalog: Catalog, counts: Counts, *, budget_bytes: int
    ) -> None:
        self.budget_bytes = budget_bytes
        self.quarantine = Quarantine(folder)
        self._folder = folder
        self._catalog = catalog
        self._counts = counts
        self._forgotten = Forgotten(folder)
        self._left: State | None = None  # the folder as this writer left it last

    def refresh(self) -> None:
        """Takes over what others changed; what turns out damaged goes to quarantine."""
        for block, (reason, signature) in self._catalog.sync().items():
            self._counts.add("corrupt")
            self.quarantine.take(block, reason, signature=signature)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The only writer, with the folder as it is now, free of what crashes left behind."""
        with self._folder.exclusive():
            if self._left != self._folder.state():
                self._sweep()
                self.refresh()
            yield
            self._left = self._folder.state()
            self._catalog.noted(self._left)

    def store(self, header: Header, payload: memoryview, *, born: int) -> BlockId | None:
        """Writes the block and enters it. None, counted, if it does not fit, its parent is gone,
        or a source of it was forgotten since generation `born`. StorageFull leaves nothing."""
        with self.alone():
            known = self._catalog.tree.header(header.id)
            if known:
                if set(header.sources) <= set(known.sources):
                    self._counts.add("duplicate")
                    return header.id
                header = _with_sources(header, known)
            if self._refused(header, born):
                return None
            head = head_bytes(header)
            if not self._make_room(header, len(head) + len(payload)):
                return None
            self._write(header, head, payload)
            return header.id

    def delete(self, blocks: Iterable[BlockId]) -> list[BlockId]:
        """Deletes these files. Nothing happens for those that are not there."""
        with self.alone():
            gone = [block for block in sorted(blocks) if self._folder.remove(block)]
            for block in gone:
                self._catalog.remove(block)
            return gone

    def clean(self, orphans: Iterable[BlockId]) -> list[BlockId]:
        """Deletes blocks that can't be reached, unfinished and damaged files, pins of nothing."""
        with self.alone():
            self._sweep()
            gone = self.delete(orphans)
            for path in self.quarantine.files():
                self.quarantine.remove(path)
            for block in self._folder.pinned():
                if block not in self._catalog.tree:
                    self._folder.unpin(block)
            return gone

    def forget(self, source_ids: Collection[str], blocks: Iterable[BlockId]) -> list[BlockId]:
        """The same, and refuses states of these sources that are still on their way."""
        with self.alone():
            self._forgotten.add(source_ids)
            gone = self.delete(blocks)
            self._counts.add("forgotten", len(gone))
            self.quarantine.forget(set(source_ids))
            return gone

    def _sweep(self) -> None:
        """No other process writes now, so what is unfinished was left by one that ended."""
        for path in self._folder.leftovers():
            with translated(path), suppress(FileNotFoundError):
                path.unlink()

    def _refused(self, header: Header, born: int) -> bool:
        if header.start and not self._catalog.tree.provides(header.parent):
            self._counts.add("not_stored_orphan")
            return True
        names = [source.id for source in header.sources]
        if names and self._forgotten.since(names, born):
            self._counts.add("not_stored_forgotten")
            return True
        return False

    def _make_room(self, header: Header, size: int) -> bool:
        """Deletes damaged files, then blocks, until `size` more bytes fit the budget."""
        if size > self.budget_bytes:
            self._counts.add("not_stored_large")
            return False
        keep = {header.id, *self._catalog.tree.providers(header.parent)}
        bad = self.quarantine.files()
        # A copy with more sources stands beside the old one until it is renamed.
        while self._catalog.bytes + self.quarantine.bytes() + size > self.budget_bytes:
            if bad:
                self.quarantine.remove(bad.pop(0))
                continue
            victim = self._catalog.evictable(keep)
            if victim is None:
                self._counts.add("not_stored_full")
                return False
            self._evict(victim)
        return True

    def _evict(self, block: BlockId) -> None:
        self._folder.remove(block)
        self._catalog.priorities.evicted(block)
        self._catalog.remove(block)
        self._counts.add("evicted")

    def _write(self, header: Header, head: bytes, payload: memoryview) -> None:
        try:
            signature = self._folder.write(header.id, head, payload)
        except StorageFull:
            self._counts.add("not_stored_full")
            raise
        self._catalog.add(header, signature)
        self._counts.add("stored")


def _with_sources(header: Header, known: Header) -> Header:
    return replace(header, sources=tuple(sorted({*header.sources, *known.sources})))
