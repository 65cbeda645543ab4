"""Blocks elsewhere, by an fsspec URL: s3://…, file://…, memory://…

    <url>/<root key in hex>/<id>.safetensors

The files are those of the disk tier. They are looked for by their heads, which are fetched alone,
and verified whole when they are fetched. fsspec's errors leave as StorageUnavailable; a damaged
file is a BlockCorrupt and is deleted. It does not know when a block should be here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any

from memos.errors import BlockCorrupt, BlockNotFound, MemosError, StorageUnavailable
from memos.kvcache.blocks.block import BlockId, Header, Ids
from memos.kvcache.blocks.file import LONGEST_HEAD, check_payload, parsed_head
from memos.kvcache.store.folder import SUFFIX
from memos.kvcache.store.hit import Hit
from memos.kvcache.store.tree import Tree, condemned

FIRST_BYTES = 64 << 10
"""Fetched to read a head; most are shorter, so that one request does."""

REFRESH_SECONDS = 60.0


class RemoteTier:
    """Thread-safe. What is there under a root is listed when that is first looked up, and again
    after a minute; `clock` gives seconds. `options` are the file system's."""

    def __init__(
        self, url: str, *, clock: Callable[[], float] = time.monotonic, **options: Any
    ) -> None:
        import fsspec

        with _translated(url):
            self._system, self._base = fsspec.core.url_to_fs(url, **options)
        self.url = url
        self._tree = Tree()
        self._known: dict[bytes, float] = {}
        self._clock = clock
        self._lock = RLock()

    def longest(
        self, root: bytes, ids: Ids, codecs: Sequence[str], policy: str | None = None
    ) -> Hit | None:
        """As the store's; the blocks it names are here."""
        with self._lock:
            if self._clock() - self._known.get(root, -REFRESH_SECONDS) >= REFRESH_SECONDS:
                self.refresh(root)
            return self._tree.longest(root, ids, codecs, policy)

    def refresh(self, root: bytes) -> None:
        """Takes over what others added or deleted under this root key."""
        with self._lock:
            there = set(self._listing(root.hex()))
            mine = {header.id for header in self._tree.headers() if header.root == root}
            for block in mine - there:
                self._tree.remove(block)
            for block in there - mine:
                self._enter(root, block)
            self._known[root] = self._clock()

    def header(self, block: BlockId) -> Header | None:
        with self._lock:
            return self._tree.header(block)

    def push(self, header: Header, content: bytes) -> None:
        """Stores a block's file; one that is there already is replaced by the same."""
        path = self._path(header.root, header.id)
        with _translated(path):
            self._system.makedirs(self._system._parent(path), exist_ok=True)
            self._system.pipe_file(path, content)
        with self._lock:
            self._tree.add(header)

    def pull(self, header: Header) -> bytes:
        """The block's whole file, verified."""
        path = self._path(header.root, header.id)
        try:
            with _translated(path):
                content: bytes = self._system.cat_file(path)
            head = parsed_head(content)
            check_payload(head.header, memoryview(content)[head.offset :])
            if head.header.id != header.id:
                raise BlockCorrupt(f"the file of block {header.id} holds {head.header.id}")
        except (BlockNotFound, BlockCorrupt):
            self.remove([header])
            raise
        return content

    def remove(self, headers: Collection[Header]) -> list[BlockId]:
        """Deletes these files; returns the blocks, also those that were gone."""
        for header in headers:
            path = self._path(header.root, header.id)
            try:
                with _translated(path):
                    self._system.rm_file(path)
            except BlockNotFound:
                pass
            with self._lock:
                self._tree.remove(header.id)
        return [header.id for header in headers]

    def forget(
        self, source_ids: Collection[str], blocks: Collection[BlockId] = ()
    ) -> list[BlockId]:
        """Deletes all blocks of these sources, these blocks, and what follows from either, under
        every root key that is there."""
        with self._lock:
            for name in self._roots():
                self.refresh(bytes.fromhex(name))
            gone = condemned(self._tree, source_ids) | self._tree.descendants(blocks)
            found = [header for header in self._tree.headers() if header.id in gone]
        return self.remove(found)

    def _enter(self, root: bytes, block: BlockId) -> None:
        try:
            header = self._head(root, block)
        except BlockNotFound:
            return
        except BlockCorrupt:
            with _translated(self.url):
                self._system.rm_file(self._path(root, block))
            return
        self._tree.add(header)

    def _head(self, root: bytes, block: BlockId) -> Header:
        path = self._path(root, block)
        with _translated(path):
            content: bytes = self._system.cat_file(path, start=0, end=FIRST_BYTES)
            need = 8 + int.from_bytes(content[:8], "little")
            if len(content) < need <= LONGEST_HEAD:
                content = self._system.cat_file(path, start=0, end=need)
        header = parsed_head(content).header
        if (header.root, header.id) != (root, block):
            raise BlockCorrupt(f"{path} holds block {header.id}")
        return header

    def _listing(self, folder: str) -> Iterator[BlockId]:
        for name in self._names(f"{self._base}/{folder}"):
            if name.endswith(SUFFIX):
                yield name.removesuffix(SUFFIX)

    def _roots(self) -> list[str]:
        return [name for name in self._names(self._base) if _is_root(name)]

    def _names(self, path: str) -> list[str]:
        try:
            with _translated(path):
                self._system.invalidate_cache()
                found = self._system.ls(path, detail=False)
        except BlockNotFound:
            return []
        return [str(name).rstrip("/").rsplit("/", 1)[-1] for name in found]

    def _path(self, root: bytes, block: BlockId) -> str:
        return f"{self._base}/{root.hex()}/{block}{SUFFIX}"


def _is_root(name: str) -> bool:
    return len(name) == 64 and not set(name) - set("0123456789abcdef")


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except MemosError:
        raise
    except FileNotFoundError as error:
        raise BlockNotFound(f"{path} is gone") from error
    except Exception as error:  # each file system of fsspec has errors of its own
        raise StorageUnavailable(f"{path} can't be used: {error}; look at the URL") from error
