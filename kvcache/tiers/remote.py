"""Blocks elsewhere: found by an index of what is there, and fetched only as far as that pays.

What is elsewhere may be far, slow, or gone for a while, and no request is to wait for that. So a
root key's files are listed in the background: when it is expected or first looked up, for which one
caller waits a little, and again when the list is a minute old, for which nobody waits. After an
error nothing is asked for half a minute. How long a fetch takes is estimated from those before, the
first time from a file read on trial.

The files are those of the disk tier. They are verified whole when they are fetched; a damaged one
is a BlockCorrupt and is deleted. Elsewhere does not know when a block should be here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as Unfinished
from queue import SimpleQueue
from threading import Lock, RLock, Thread
from typing import Any

from memos.errors import BlockCorrupt, BlockNotFound, MemosError, StorageUnavailable
from memos.kvcache.blocks.block import BlockId, Header, Ids
from memos.kvcache.blocks.file import head_bytes
from memos.kvcache.store.hit import Hit
from memos.kvcache.store.tree import Tree, condemned
from memos.kvcache.tiers.remote_files import RemoteFiles

log = logging.getLogger(__name__)

REFRESH_SECONDS = 60.0
FIRST_SECONDS = 1.0
"""That the first look-up under a root key waits at most for the list."""
REST_SECONDS = 30.0
"""Without a request after an error."""
CLOSE_SECONDS = 1.0
"""That closing waits for a list under way."""

_TRIAL_BYTES = (4 << 10, 4 << 20)


class RemoteTier:
    """Thread-safe. `clock` gives seconds, `wait_s` is how long the first look-up waits. `options`
    are the file system's. `failed`, if it is set, is called for each listing that fails."""

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait_s: float = FIRST_SECONDS,
        **options: Any,
    ) -> None:
        self.url = url
        self.failed: Callable[[], object] = lambda: None
        self._wait_s = wait_s
        self._files = RemoteFiles(url, **options)
        self._pace = Pace()
        self._tree = Tree()
        self._sizes: dict[BlockId, int] = {}
        self._listed: dict[bytes, float] = {}
        self._listing: dict[bytes, Future[None]] = {}
        self._waited: set[bytes] = set()
        self._resting_until = float("-inf")
        self._clock = clock
        self._lock = RLock()
        self._refreshing = Lock()
        self._queue: SimpleQueue[tuple[bytes, Future[None]] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._closed = False

    def expect(self, root: bytes) -> None:
        """Begins to find out what is here under a root key that will be looked up."""
        with self._lock:
            self._list_soon(root)

    def longest(
        self,
        root: bytes,
        ids: Ids,
        codecs: Sequence[str],
        policy: str | None = None,
        *,
        wait_s: float = float("inf"),
    ) -> Hit | None:
        """As the store's; the blocks it names are here. None too while it is not known what is
        here: for that the first look-up waits, but no longer than `wait_s`. StorageUnavailable if
        what it waited for failed."""
        with self._lock:
            known, waited = root in self._listed, root in self._waited
            listing = self._list_soon(root)
            self._waited.add(root)
        if listing and not known:
            if waited:
                return None
            try:
                listing.result(min(wait_s, self._wait_s))
            except (Unfinished, CancelledError):  # not known yet, or closing
                return None
        with self._lock:
            return None if self._resting else self._tree.longest(root, ids, codecs, policy)

    def header(self, block: BlockId) -> Header | None:
        with self._lock:
            return self._tree.header(block)

    def seconds(self, headers: Iterable[Header]) -> float | None:
        """What fetching these files one after the other will take; None if nothing was ever
        fetched."""
        with self._lock:
            sizes = [self._size(header) for header in headers]
        return self._pace.seconds(len(sizes), sum(sizes))

    def push(self, header: Header, content: bytes) -> None:
        """Stores a block's file; one that is there already is replaced by the same."""
        self._files.write(header, content)
        with self._lock:
            self._enter(header, len(content))

    def pull(self, header: Header) -> bytes:
        """The block's whole file, verified."""
        with self._lock:
            size = self._size(header)
        began = time.perf_counter()
        try:
            content = self._files.fetch(header, size)
        except (BlockNotFound, BlockCorrupt):
            self.remove([header])
            raise
        except StorageUnavailable:
            self._rest()
            raise
        self._pace.note(len(content), time.perf_counter() - began)
        return content

    def remove(self, headers: Collection[Header]) -> list[BlockId]:
        """Deletes these files; returns the blocks, also those that were gone."""
        for header in headers:
            self._files.delete(header.root, header.id)
            with self._lock:
                self._leave(header.id)
        return [header.id for header in headers]

    def forget(
        self, source_ids: Collection[str], blocks: Collection[BlockId] = ()
    ) -> list[BlockId]:
        """Deletes all blocks of these sources, these blocks, and what follows from either, under
        every root key that is there."""
        for root in self._files.roots():
            self.refresh(root)
        with self._lock:
            gone = condemned(self._tree, source_ids) | self._tree.descendants(blocks)
            found = [header for header in self._tree.headers() if header.id in gone]
        return self.remove(found)

    def refresh(self, root: bytes) -> None:
        """Takes over what others added or deleted under this root key; deletes damaged files."""
        with self._refreshing:
            there = self._files.sizes(root)
            with self._lock:
                mine = {one.id: one for one in self._tree.headers() if one.root == root}
            new = {block: size for block, size in there.items() if block not in mine}
            heads = self._files.heads(root, new)
            with self._lock:
                for block in mine.keys() - there.keys():
                    self._leave(block)
                for block, head in heads.items():
                    if isinstance(head, Header):
                        self._enter(head, new[block])
                self._listed[root] = self._clock()
            for block, head in heads.items():
                if isinstance(head, BlockCorrupt):
                    self._files.delete(root, block)

    def close(self) -> None:
        """No list is made any more. One that is under way is left to itself soon: a server that
        hangs must not keep a process from ending."""
        with self._lock:
            self._closed = True
            for listing in self._listing.values():
                listing.cancel()
            thread = self._thread
        if thread:
            self._queue.put(None)
            thread.join(CLOSE_SECONDS)

    @property
    def _resting(self) -> bool:
        return self._clock() < self._resting_until

    def _list_soon(self, root: bytes) -> Future[None] | None:
        """The listing under way, begun if the last one is too old; None if there is none."""
        age = self._clock() - self._listed.get(root, float("-inf"))
        idle = self._closed or self._resting or root in self._listing
        if not idle and age >= REFRESH_SECONDS:
            self._listing[root] = Future()
            self._queue.put((root, self._listing[root]))
            if self._thread is None:  # unlike an executor's it may be left behind at the end
                self._thread = Thread(target=self._work, name="memos-kv-remote", daemon=True)
                self._thread.start()
        return self._listing.get(root)

    def _work(self) -> None:
        while task := self._queue.get():
            root, listing = task
            if listing.set_running_or_notify_cancel():
                try:
                    self._list(root)
                    listing.set_result(None)
                except Exception as error:
                    listing.set_exception(error)

    def _list(self, root: bytes) -> None:
        try:
            self.refresh(root)
            if self._pace.unknown:
                self._try_out(root)
        except Exception as error:
            self._rest()
            self.failed()
            if isinstance(error, MemosError):
                log.warning("what is elsewhere can't be listed: %s", error)
                raise
            log.exception("what is elsewhere can't be listed, which is a fault of memos")
            raise StorageUnavailable(f"{self.url} can't be listed: {error!r}") from error
        finally:
            with self._lock:
                self._listing.pop(root, None)

    def _try_out(self, root: bytes) -> None:
        """Reads a little of the largest file, then more, to know how fast this is."""
        with self._lock:
            sizes = {h.id: self._sizes[h.id] for h in self._tree.headers() if h.root == root}
        if not sizes:
            return
        block = max(sizes, key=sizes.__getitem__)
        try:
            for most in _TRIAL_BYTES:
                began = time.perf_counter()
                content = self._files.read(root, block, min(most, sizes[block]))
                self._pace.note(len(content), time.perf_counter() - began)
        except BlockNotFound:
            return

    def _rest(self) -> None:
        with self._lock:
            self._resting_until = self._clock() + REST_SECONDS

    def _size(self, header: Header) -> int:
        known = self._sizes.get(header.id)
        return known or len(head_bytes(header)) + header.payload_bytes

    def _enter(self, header: Header, size: int) -> None:
        self._tree.add(header)
        self._sizes[header.id] = size

    def _leave(self, block: BlockId) -> None:
        self._tree.remove(block)
        self._sizes.pop(block, None)


class Pace:
    """Seconds per request and bytes per second, as measured; the later the more it counts."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._request_s = 0.0
        self._bytes_per_s = 0.0

    @property
    def unknown(self) -> bool:
        return not self._bytes_per_s

    def note(self, size: int, seconds: float) -> None:
        """A request brought `size` bytes in so many seconds. A small one tells what any takes."""
        with self._lock:
            if size <= _TRIAL_BYTES[0]:
                self._request_s = (self._request_s or seconds) / 2 + seconds / 2
                return
            rate = size / max(seconds - self._request_s, seconds / 2, 1e-6)
            self._bytes_per_s = (self._bytes_per_s or rate) / 2 + rate / 2

    def seconds(self, requests: int, size: int) -> float | None:
        """For so many requests and bytes in all; None if nothing was measured."""
        with self._lock:
            if not self._bytes_per_s:
                return None
            return requests * self._request_s + size / self._bytes_per_s
