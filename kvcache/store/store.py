"""The store of blocks in one folder, shared by threads and processes.

Between tenants. Covered: the root key of every look-up holds a salt that the server keeps, so equal
tokens of two tenants have no link, block or file in common; a look-up walks links under its own
root only, and compares token ids; what a tenant stores is never deduplicated against another's. So
neither hits, nor the time of a look-up, nor `put` tell what another has. Not covered: the byte
budget is one for all, so a tenant can notice by its own evictions that others are busy, though not
with what; who must hide that too gives each tenant a store. Files are not encrypted, and states can
be turned back into text.

A miss is no error. A damaged file goes to quarantine and its reader gets BlockCorrupt, upon which
the tokens are to be computed again. Everything that happens is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from typing_extensions import Self, Unpack

from memos.errors import BlockCorrupt, BlockNotFound, StorageFull
from memos.kvcache.blocks.block import Block, BlockId, Header, States
from memos.kvcache.blocks.file import bytes_of, check_payload, head_bytes, parsed_head
from memos.kvcache.blocks.hashing import ids_of
from memos.kvcache.blocks.joining import joined
from memos.kvcache.codecs.coding import decoded, encoded
from memos.kvcache.codecs.registry import CODECS
from memos.kvcache.store.catalog import Catalog, Removed
from memos.kvcache.store.counts import Counts, StoreStats
from memos.kvcache.store.drafting import Details, check_root, drafted
from memos.kvcache.store.folder import Folder, storage_error
from memos.kvcache.store.hit import Hit, Segment
from memos.kvcache.store.opened import OpenedFile, OpenedFiles
from memos.kvcache.store.persisting import Persisting
from memos.kvcache.store.tree import condemned
from memos.kvcache.store.writing import Writing

QUEUE_BLOCKS = 16
"""Blocks that wait to be written; each is in RAM, encoded."""


class BlockStore:
    """Blocks on disk: thread-safe, and any number of processes may share the folder.

    `budget_bytes` is for all files of states together. A block is stored whole, once, and deleted
    whole; it is never written over with other states. Errors of the system are StorageError.
    """

    def __init__(
        self, folder: Path, *, budget_bytes: int, queue_blocks: int = QUEUE_BLOCKS
    ) -> None:
        self.counts = Counts()
        self._folder = Folder(Path(folder))
        self._files = OpenedFiles()
        self._catalog = Catalog(self._folder)
        self._catalog.on_removed(self._files.close)
        self._writing = Writing(self._folder, self._catalog, self.counts, budget_bytes=budget_bytes)
        self._persisting = Persisting(limit=queue_blocks)
        with self._writing.alone():
            pass

    def longest(
        self,
        root: bytes,
        tokens: Sequence[int],
        *,
        codecs: Sequence[str] = tuple(CODECS),
        policy: str | None = None,
    ) -> Hit | None:
        """The longest stored prefix, at most len(tokens) - 1 tokens; None if nothing matches.

        `codecs` are those that will do, the better first. Compressed blocks are found only by the
        name of their policy.
        """
        hit = self.find(root, tokens, codecs=codecs, policy=policy)
        self.note(hit)
        return hit

    def find(
        self,
        root: bytes,
        tokens: Sequence[int],
        *,
        codecs: Sequence[str] = tuple(CODECS),
        policy: str | None = None,
    ) -> Hit | None:
        """The same, neither counted nor taken for a use: for plans and for other tiers."""
        check_root(root)
        ids = ids_of(tokens)
        self._writing.refresh()
        with self._catalog.lock:
            return self._catalog.tree.longest(root, ids, codecs, policy)

    def note(self, hit: Hit | None) -> None:
        """Counts what a look-up found; its blocks are worth more from now on."""
        with self._catalog.lock:
            for block in hit.blocks if hit else ():
                self._catalog.priorities.use(block)
        self.counts.add("hit" if hit else "miss")
        self.counts.add("hit_tokens", hit.tokens if hit else 0)

    @property
    def generation(self) -> int:
        """Grows with every change. Taken before states are computed and given to `put` as `born`,
        it keeps out what was forgotten meanwhile."""
        return self._folder.state().generation

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
        """Stores the states of tokens[start:]; `tokens` begin at position 0, `start` is a multiple
        of 64. `states` are copied.

        Returns the block that holds them, which may have been there. None if it was not stored:
        too large, no room, its parent or a source gone; counted. StorageFull on a full disk.
        """
        header, born = drafted(root, tokens, start, **details), self._born(born)
        known = self._known(header)
        if known:
            self.counts.add("duplicate")
            return known
        return self._writing.store(*encoded(header, states), born=born)

    def put_later(
        self,
        root: bytes,
        tokens: Sequence[int],
        start: int,
        states: States,
        *,
        born: int | None = None,
        then: Callable[[BlockId | None], None] = lambda _: None,
        **details: Unpack[Details],
    ) -> bool:
        """The same, written by a thread of the store's own; `states` are copied before it returns.

        False, counted, if too many wait. What goes wrong later is counted and raised by `flush`.
        `then` is called by that thread with what `put` would have returned.
        """
        header, born = drafted(root, tokens, start, **details), self._born(born)
        if known := self._known(header):
            self.counts.add("duplicate")
            then(known)
            return True
        content, since = encoded(header, states), born
        added = self._persisting.add(lambda: then(self._written(*content, since)))
        if not added:
            self.counts.add("not_stored_queue")
        return added

    def flush(self) -> None:
        """Waits for all that was put later; raises the first error among them."""
        self._persisting.flush()

    def load(self, hit: Hit) -> States:
        """States of the hit's tokens, on the CPU and the caller's own: writing to them changes
        nothing that is stored. BlockNotFound or BlockCorrupt: compute the tokens again."""
        with self.using(hit):
            runs = [self._run(segment) for segment in hit.segments]
            return joined(runs, self._catalog.header(hit.blocks[-1]).layout)

    def lend(self, hit: Hit) -> States:
        """As `load`; for readers that don't write. A tier that has them elsewhere copies less."""
        return self.load(hit)

    def held(self, hit: Hit) -> dict[str, int]:
        """Bytes to load, all of them from disk, as they are after decoding."""
        return {"disk": self.header(hit.blocks[-1]).layout.bytes_of(hit.tokens)}

    def open(self, block: BlockId) -> Block:
        """One block, whole; its states are the caller's own."""
        file = self.file(block)
        return Block(file.head.header, decoded(file.head.header, file.map(), None))

    def file(self, block: BlockId) -> OpenedFile:
        """The verified file of a block: its payload can be mapped, or read with parallel reads."""
        try:
            return self._files.open(block, self._folder.path(block))
        except FileNotFoundError:
            self.counts.add("gone")
            self._writing.refresh()
            raise BlockNotFound(
                f"block {block} is gone since it was found; compute its tokens again"
            ) from None
        except BlockCorrupt as error:
            self._reject(block, str(error))
            raise BlockCorrupt(
                f"block {block} is damaged and was put in quarantine: {error}", block=block
            ) from error
        except OSError as error:
            raise storage_error(error, self._folder.path(block)) from error

    def content(self, block: BlockId) -> tuple[Header, bytes]:
        """The header and the whole verified file, to be taken elsewhere."""
        file = self.file(block)
        return file.head.header, head_bytes(file.head.header) + bytes(bytes_of(file.map()))

    def adopt(self, content: bytes, *, born: int | None = None) -> BlockId | None:
        """Stores a block's file that comes from elsewhere. BlockCorrupt if it is damaged."""
        head = parsed_head(content)
        payload = memoryview(content)[head.offset :]
        check_payload(head.header, payload)
        return self._writing.store(head.header, payload, born=self._born(born))

    def path(self, block: BlockId) -> Path:
        """Where the block's file is, or would be."""
        return self._folder.path(block)

    def using(self, hit: Hit) -> AbstractContextManager[None]:
        """Keeps the hit's blocks from being evicted by this process."""
        return self._catalog.using(hit.blocks)

    def alone(self) -> AbstractContextManager[None]:
        """Keeps all other writers out, of this process and others, for changes of several steps."""
        return self._writing.alone()

    def __contains__(self, block: BlockId) -> bool:
        """As far as this process knows."""
        with self._catalog.lock:
            return block in self._catalog.tree

    def header(self, block: BlockId) -> Header:
        """BlockNotFound if there is none."""
        return self._catalog.header(block)

    def headers(self, root: bytes | None = None) -> list[Header]:
        """Of all blocks, or of those under one root key."""
        self._writing.refresh()
        with self._catalog.lock:
            found = self._catalog.tree.headers()
        return [header for header in found if root in (None, header.root)]

    def lineage(self, block: BlockId) -> list[BlockId]:
        """The block after those that it follows from; empty if it or one of them is gone."""
        self._writing.refresh()
        with self._catalog.lock:
            return self._catalog.tree.lineage(block)

    def forget(self, source_ids: Collection[str]) -> list[BlockId]:
        """Deletes every block that carries one of the sources, in any version, and all that follow
        from these; the damaged files that may. Pins don't hold them. Returns what was deleted."""
        with self._writing.alone():
            with self._catalog.lock:
                blocks = condemned(self._catalog.tree, source_ids)
            return self._writing.forget(source_ids, blocks)

    def drop(self, block: BlockId) -> list[BlockId]:
        """Deletes a block and those that follow from it, pinned or not; all ids."""
        with self._writing.alone():
            with self._catalog.lock:
                blocks = self._catalog.tree.descendants([block])
            return self._writing.delete(blocks)

    def drop_root(self, root: bytes) -> list[BlockId]:
        """Deletes all of one tenant and model."""
        with self._writing.alone():
            return self._writing.delete([header.id for header in self.headers(root)])

    def pin(self, block: BlockId) -> None:
        """Not evicted until it is unpinned, by no process and after no restart; nor what it needs.
        Twice is once. BlockNotFound if there is none."""
        with self._writing.alone():
            self._catalog.header(block)
            self._folder.pin(block)
            self._catalog.pinned.add(block)

    def unpin(self, block: BlockId) -> None:
        """Nothing happens if it was not pinned."""
        with self._writing.alone():
            self._folder.unpin(block)
            self._catalog.pinned.discard(block)

    def gc(self) -> list[BlockId]:
        """Deletes what can't be used any more: blocks whose parents are gone, what a crash left
        unfinished, pins of nothing, damaged files. Returns the blocks."""
        with self._writing.alone():
            with self._catalog.lock:
                orphans = self._catalog.tree.orphans()
            return self._writing.clean(orphans)

    def on_removed(self, listener: Removed) -> None:
        """Called with the id of each block that this process finds gone, whoever deleted it."""
        self._catalog.on_removed(listener)

    def refresh(self) -> None:
        """Takes over what other processes changed; look-ups do so by themselves."""
        self._writing.refresh()

    def stats(self) -> StoreStats:
        self._writing.refresh()
        bad = self._writing.quarantine
        with self._catalog.lock:
            return StoreStats(
                blocks=len(self._catalog.tree),
                bytes=self._catalog.bytes + bad.bytes(),
                budget_bytes=self._writing.budget_bytes,
                pinned=len(self._catalog.pinned),
                quarantined=len(bad.files()),
                waiting=self._persisting.waiting,
                counts=self.counts.all(),
            )

    def close(self) -> None:
        """Writes what still waits and closes the files; errors of these writes stay counted."""
        self._persisting.close()
        self._files.close_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _born(self, born: int | None) -> int:
        return self.generation if born is None else born

    def _known(self, header: Header) -> BlockId | None:
        """A block that holds these states already, with all their sources."""
        self._writing.refresh()
        with self._catalog.lock:
            return self._catalog.tree.holder(header)

    def _written(self, header: Header, payload: memoryview, born: int) -> BlockId | None:
        try:
            return self._writing.store(header, payload, born=born)
        except StorageFull:  # counted where it happened
            raise
        except Exception:
            self.counts.add("not_stored_error")
            raise

    def _run(self, segment: Segment) -> States:
        file = self.file(segment.block)
        whole = segment.rows == len(file.head.header.tokens)
        return decoded(file.head.header, file.map(), None if whole else segment.rows)

    def _reject(self, block: BlockId, reason: str) -> None:
        self.counts.add("corrupt")
        self._writing.quarantine.take(block, reason)
        self._writing.refresh()
