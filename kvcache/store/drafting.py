"""The header of a block that is to be stored, from what a caller hands over. No bytes yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from typing_extensions import Required

from memos.errors import InvalidInput
from memos.kvcache.blocks.block import GRANULE, Header, Source
from memos.kvcache.blocks.flops import forward_flops
from memos.kvcache.blocks.hashing import chain, ids_of
from memos.kvcache.blocks.header import LINK
from memos.kvcache.layout import CacheLayout


class Details(TypedDict, total=False):
    """What `put` may be told of a block.

    `sources`: memories whose text is in the tokens or before them. `codec`: "raw" if not given.
    `policy`: the name of the compression by which rows were left out. `flops`: what a load saves;
    estimated from the layout if not given.
    """

    layout: Required[CacheLayout]
    sources: Sequence[Source]
    codec: str
    policy: str | None
    flops: float | None


def drafted(
    root: bytes,
    tokens: Sequence[int],
    start: int,
    *,
    layout: CacheLayout,
    sources: Sequence[Source] = (),
    codec: str = "raw",
    policy: str | None = None,
    flops: float | None = None,
) -> Header:
    """All that can be said before the states are encoded; InvalidInput if a block can't be so."""
    check_root(root)
    ids = ids_of(tokens)
    if start % GRANULE or not 0 <= start < len(ids):
        raise InvalidInput(
            f"a block of {len(ids)} tokens can't start at {start}; use a multiple of {GRANULE} "
            "before the last token"
        )
    links = [root, *chain(root, ids)]
    first = start // GRANULE
    return Header(
        root=root,
        parent=links[first],
        start=start,
        tokens=ids[start:].copy(),
        hashes=tuple(links[first + 1 :]),
        codec=codec,
        policy=policy,
        layout=layout,
        sources=tuple(sorted(set(sources))),
        flops=forward_flops(layout, start, len(ids)) if flops is None else flops,
        records=(),
        payload_dtype="uint8",
        payload_shape=(0,),
        payload_bytes=0,
        checksum="",
    )


def check_root(root: bytes) -> None:
    if len(root) != LINK:
        raise InvalidInput(
            f"a root key has {LINK} bytes, not {len(root)}; see memos.kvcache.fingerprint"
        )
