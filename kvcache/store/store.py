"""The store of blocks on one folder. Signatures first; the parts follow."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from memos.kvcache.blocks.block import Block, BlockId, Header, Source, States
from memos.kvcache.layout import CacheLayout
from memos.kvcache.store.hit import Hit


class BlockStore:
    """Blocks on disk: thread-safe, and any number of processes may share the folder."""

    def __init__(self, folder: Path, *, budget_bytes: int) -> None:
        raise NotImplementedError

    def longest(
        self,
        root: bytes,
        tokens: Sequence[int],
        *,
        codecs: Collection[str] | None = None,
        policy: str | None = None,
    ) -> Hit | None:
        """The longest stored prefix, at most len(tokens) - 1 tokens; None if nothing matches."""
        raise NotImplementedError

    def put(
        self,
        root: bytes,
        tokens: Sequence[int],
        start: int,
        states: States,
        *,
        layout: CacheLayout,
        sources: Sequence[Source] = (),
        codec: str = "raw",
        policy: str | None = None,
        flops: float | None = None,
    ) -> BlockId | None:
        """Stores the states of tokens[start:], start a multiple of 64; `tokens` begin at position
        0. None if it was not stored, which is counted."""
        raise NotImplementedError

    def put_later(
        self,
        root: bytes,
        tokens: Sequence[int],
        start: int,
        states: States,
        *,
        layout: CacheLayout,
        sources: Sequence[Source] = (),
        codec: str = "raw",
        policy: str | None = None,
        flops: float | None = None,
    ) -> bool:
        """The same by a thread of the store's own; False if its queue is full."""
        raise NotImplementedError

    def flush(self) -> None:
        """Waits for all that was put later; raises the first error of them."""
        raise NotImplementedError

    def load(self, hit: Hit) -> States:
        """States of the hit's tokens, the caller's own: writing to them changes nothing stored."""
        raise NotImplementedError

    def open(self, block: BlockId) -> Block:
        """One block, whole."""
        raise NotImplementedError

    def headers(self, root: bytes | None = None) -> list[Header]:
        """Of all blocks, or of those under one root key."""
        raise NotImplementedError

    def forget(self, source_ids: Collection[str]) -> list[BlockId]:
        """Deletes every block that carries one of the sources, and all that follow from these."""
        raise NotImplementedError

    def pin(self, block: BlockId) -> None:
        raise NotImplementedError

    def unpin(self, block: BlockId) -> None:
        raise NotImplementedError

    def drop(self, block: BlockId) -> list[BlockId]:
        """Deletes a block and those that follow from it, pinned or not."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
