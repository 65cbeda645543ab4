"""Storing what was computed: what the store lacks of it, in one block or in pieces."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.errors import ActivationError, StorageError
from memos.kvcache.blocks.block import GRANULE, BlockId, Source, States
from memos.kvcache.layout import CacheLayout

if TYPE_CHECKING:
    from memos.kvcache.store.store import BlockStore
    from memos.kvcache.tiers.tiers import Tiers

log = logging.getLogger(__name__)

PIECE_BYTES = 128 << 20
"""Of states, before they are packed: a block of more is stored in pieces, so that its end can be
loaded while its beginning is computed; fewer would cost more calls than they are worth."""
_MOST_PIECES = 4


@dataclass(frozen=True)
class Remembering:
    """`later`: blocks are written in the background. More than `piece_bytes` become several."""

    layout: CacheLayout
    codec: str
    later: bool = False
    piece_bytes: int = PIECE_BYTES

    def put(
        self,
        store: BlockStore | Tiers,
        root: bytes,
        tokens: Sequence[int],
        states: Callable[[int, int], States],
        *,
        codecs: Sequence[str],
        sources: Sequence[Source],
        born: int | None,
    ) -> BlockId | None:
        """The last block that was written; None if there was nothing to store, too little of it, or
        the store did not take it, or not yet."""
        # One token more, since a look-up leaves the last one to be run.
        hit = store.find(root, [*tokens, tokens[-1]], codecs=codecs)
        start = hit.tokens // GRANULE * GRANULE if hit is not None else 0
        new = len(tokens) - (hit.tokens if hit is not None else 0)
        if new < (1 if sources else GRANULE):
            return None
        put = store.put_later if self.later else store.put
        made: BlockId | bool | None = None
        for begin, end in self.pieces(start, len(tokens)):
            try:
                made = put(
                    root,
                    tokens[:end],
                    begin,
                    states(begin, end),
                    layout=self.layout,
                    sources=sources,
                    codec=self.codec,
                    born=born,
                )
            except (ActivationError, StorageError) as error:
                # An answer must not fail because its states can't be kept.
                log.warning("the states of %d tokens were not stored: %s", end - begin, error)
                return None
            if not made:  # nor could what follows from it be used
                return None
        return made if isinstance(made, str) else None

    def pieces(self, start: int, end: int) -> list[tuple[int, int]]:
        """The ranges [start, end) is stored in: about equal, each but the last of whole granules.
        One, where states can be had at the end only."""
        count = min(_MOST_PIECES, self.layout.bytes_of(end - start) // self.piece_bytes)
        if count < 2 or not self.layout.croppable:
            return [(start, end)]
        size = max(GRANULE, -(-(end - start) // count // GRANULE) * GRANULE)
        cuts = [*range(start, end, size)][:count]
        return list(zip(cuts, [*cuts[1:], end], strict=True))
