"""Between the disk and elsewhere: what is fetched for a request or for the next one, and copies.

What a request waits for is what it says it will. A fetch that does not pay goes on in the
background, as copies do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from threading import Lock

from memos.errors import BlockNotFound, MemosError
from memos.kvcache.blocks.block import BlockId, Header
from memos.kvcache.blocks.hashing import ids_of
from memos.kvcache.store.hit import Hit
from memos.kvcache.store.store import BlockStore
from memos.kvcache.tiers.remote import RemoteTier

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """What a request waits for elsewhere: `list_s` seconds to hear what is there, and a fetch if
    `pays` says so of (tokens that are on disk, tokens that would be, seconds that it takes, None if
    nobody knows)."""

    list_s: float
    pays: Callable[[int, int, float | None], bool]


ENDLESS = Patience(float("inf"), lambda near, far, seconds: True)


class Exchange:
    """Thread-safe. `fetched`: blocks that came from elsewhere."""

    def __init__(self, store: BlockStore, remote: RemoteTier, background: Executor) -> None:
        self._store = store
        self._remote = remote
        self._background = background
        self._copying: list[Future[None]] = []
        self._on_their_way: set[BlockId] = set()
        self._lock = Lock()
        self.fetched = 0
        remote.failed = partial(store.counts.add, "remote_error")

    def pulled(
        self,
        near: Hit | None,
        root: bytes,
        tokens: Sequence[int],
        codecs: Sequence[str],
        policy: str | None,
        patience: Patience,
    ) -> bool:
        """Whether more of the prompt was found elsewhere and brought to disk."""
        born, done = self._store.generation, near.tokens if near else 0
        try:
            ids = ids_of(tokens)
            far = self._remote.longest(root, ids, codecs, policy, wait_s=patience.list_s)
        except MemosError:
            return False
        if far is None or far.tokens <= done:
            return False
        wanted = [
            header
            for block in far.blocks
            if block not in self._store and (header := self._remote.header(block))
        ]
        if patience.pays(done, far.tokens, self._remote.seconds(wanted)):
            self._adopt(wanted, born)
            return True
        self._adopt_later(wanted, born)
        return False

    def _adopt(self, headers: Sequence[Header], born: int) -> None:
        """Brings blocks to disk, parents first."""
        try:
            for header in headers:
                if header.id not in self._store:
                    self._store.adopt(self._remote.pull(header), born=born)
                    with self._lock:
                        self.fetched += 1
        except MemosError as error:
            log.warning("states elsewhere can't be fetched: %s", error)
            self._store.counts.add("remote_error")

    def _adopt_later(self, headers: Sequence[Header], born: int) -> None:
        """The same in the background; what is on its way already is not asked for again."""
        names = {header.id for header in headers}
        with self._lock:
            if names <= self._on_their_way:
                return
            self._on_their_way |= names

        def bring() -> None:
            try:
                self._adopt(headers, born)
            except Exception:  # nobody asks what became of it
                log.exception("states elsewhere were not fetched, which is a fault of memos")
                self._store.counts.add("remote_error")
            finally:
                with self._lock:
                    self._on_their_way -= names

        self._background.submit(bring)

    def copy_away(self, block: BlockId | None) -> None:
        """In the background; None is nothing."""
        if block:
            with self._lock:
                self._copying.append(self._background.submit(self._copied, block))

    def _copied(self, block: BlockId) -> None:
        try:
            header, content = self._store.content(block)
            if self._remote.header(block) is None or header.sources:
                self._remote.push(header, content)
        except BlockNotFound:  # evicted or forgotten before its turn
            return

    def drain(self, *, raising: bool) -> None:
        """Waits for the copies; raises the first error."""
        with self._lock:
            copying, self._copying = self._copying, []
        errors = [error for future in copying if (error := future.exception())]
        self._store.counts.add("remote_error", len(errors))
        if errors and raising:
            raise errors[0]
