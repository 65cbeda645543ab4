"""Files elsewhere, by an fsspec URL: s3://…, file://…, memory://…

    <url>/<root key in hex>/<block id>.safetensors

Lists, reads, writes and deletes; knows no tree and remembers nothing. Several heads, and the parts
of a large file, are asked for at once where the file system can do that. fsspec's errors leave as
StorageUnavailable, what is gone as BlockNotFound, what is no block's file as BlockCorrupt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from memos.errors import BlockCorrupt, BlockNotFound, MemosError, StorageUnavailable
from memos.kvcache.blocks.block import BlockId, Header
from memos.kvcache.blocks.file import LONGEST_HEAD, check_payload, parsed_head
from memos.kvcache.store.folder import SUFFIX

FIRST_BYTES = 64 << 10
"""Fetched to read a head; most are shorter, so that one request does."""

PART_BYTES = 8 << 20
"""Larger files are read in parts, which a network brings faster than one after the other."""

Range = tuple[str, int, int]


class RemoteFiles:
    """Thread-safe as far as the file system is. `options` are the file system's."""

    def __init__(self, url: str, **options: Any) -> None:
        import fsspec

        self.url = url
        with _translated(url):
            self._system, self._base = fsspec.core.url_to_fs(url, **options)

    def roots(self) -> list[bytes]:
        """Root keys with a folder here."""
        names = (name for name, _ in self._entries(self._base))
        return [bytes.fromhex(name) for name in names if _is_root(name)]

    def sizes(self, root: bytes) -> dict[BlockId, int]:
        """Bytes of each file under this root key; empty if there is no such folder."""
        return {
            name.removesuffix(SUFFIX): size
            for name, size in self._entries(f"{self._base}/{root.hex()}")
            if name.endswith(SUFFIX)
        }

    def heads(
        self, root: bytes, sizes: Mapping[BlockId, int]
    ) -> dict[BlockId, Header | BlockNotFound | BlockCorrupt]:
        """The head of each of these files, or what is wrong with it."""
        blocks = list(sizes)
        paths = [self._path(root, block) for block in blocks]
        contents = self._ranges(
            [(p, 0, min(sizes[b], FIRST_BYTES)) for p, b in zip(paths, blocks, strict=True)]
        )
        found: dict[BlockId, Header | BlockNotFound | BlockCorrupt] = {}
        for block, path, content in zip(blocks, paths, contents, strict=True):
            try:
                found[block] = self._head(root, block, path, content, sizes[block])
            except (BlockNotFound, BlockCorrupt) as error:
                found[block] = error
        return found

    def fetch(self, header: Header, size: int) -> bytes:
        """The block's whole file, of about `size` bytes, verified."""
        path = self._path(header.root, header.id)
        parts = self._ranges(
            [(path, at, min(at + PART_BYTES, size)) for at in range(0, max(size, 1), PART_BYTES)]
        )
        content = b"".join(_unless_gone(part) for part in parts)
        head = parsed_head(content)
        if len(content) < head.size:  # replaced since it was listed, by one with more sources
            with _translated(path):
                content = self._system.cat_file(path)
            head = parsed_head(content)
        check_payload(head.header, memoryview(content)[head.offset :])
        if head.header.id != header.id:
            raise BlockCorrupt(f"the file of block {header.id} holds {head.header.id}")
        return content

    def read(self, root: bytes, block: BlockId, end: int) -> bytes:
        """The first `end` bytes of a file, unverified."""
        return _unless_gone(*self._ranges([(self._path(root, block), 0, end)]))

    def write(self, header: Header, content: bytes) -> None:
        """A file that is there already is replaced."""
        path = self._path(header.root, header.id)
        with _translated(path):
            self._system.makedirs(self._system._parent(path), exist_ok=True)
            self._system.pipe_file(path, content)

    def delete(self, root: bytes, block: BlockId) -> None:
        """Nothing happens if it is gone."""
        path = self._path(root, block)
        try:
            with _translated(path):
                self._system.rm_file(path)
        except BlockNotFound:
            pass

    def _head(
        self, root: bytes, block: BlockId, path: str, content: bytes | BlockNotFound, size: int
    ) -> Header:
        content = _unless_gone(content)
        need = 8 + int.from_bytes(content[:8], "little")
        if len(content) < need <= min(size, LONGEST_HEAD):
            content = _unless_gone(*self._ranges([(path, 0, need)]))
        header = parsed_head(content).header
        if (header.root, header.id) != (root, block):
            raise BlockCorrupt(f"{path} holds block {header.id}")
        return header

    def _ranges(self, ranges: Sequence[Range]) -> list[bytes | BlockNotFound]:
        """What is gone is an item; any other error is raised."""
        wanted = [one for one in ranges if one[2] > one[1]]
        paths, starts, ends = ([one[part] for one in wanted] for part in range(3))
        with _translated(self.url):
            read = iter(self._system.cat_ranges(paths, starts, ends, on_error="return"))
        found: list[bytes | BlockNotFound] = []
        for path, start, end in ranges:
            content = next(read) if end > start else b""
            try:
                with _translated(path):
                    if isinstance(content, BaseException):
                        raise content
                    found.append(content)
            except BlockNotFound as error:
                found.append(error)
        return found

    def _entries(self, path: str) -> list[tuple[str, int]]:
        """Names in a folder, with their sizes; none if it does not exist."""
        try:
            with _translated(path):
                self._system.invalidate_cache()
                found = self._system.ls(path, detail=True)
        except BlockNotFound:
            return []
        return [
            (str(one["name"]).rstrip("/").rsplit("/", 1)[-1], int(one["size"] or 0))
            for one in found
        ]

    def _path(self, root: bytes, block: BlockId) -> str:
        return f"{self._base}/{root.hex()}/{block}{SUFFIX}"


def _is_root(name: str) -> bool:
    return len(name) == 64 and not set(name) - set("0123456789abcdef")


def _unless_gone(content: bytes | BlockNotFound) -> bytes:
    if isinstance(content, BlockNotFound):
        raise content
    return content


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
