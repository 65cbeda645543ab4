"""Chained hashes of token ids: h_i = SHA-256(h_{i-1} ‖ ids of granule i as little-endian uint32).

A link stands for everything before it, so equal links mean equal prefixes under one root key;
token ids are compared all the same before a block is used. The incomplete granule at the end of a
text has no link.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence

import numpy as np

from memos.errors import InvalidInput
from memos.kvcache.blocks.block import GRANULE, Ids


def ids_of(tokens: Sequence[int] | Ids) -> Ids:
    """Token ids as uint32, little-endian. InvalidInput for ids that don't fit."""
    if isinstance(tokens, np.ndarray):
        if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
            raise InvalidInput(
                "token ids must be one flat list of whole numbers, not "
                f"{tokens.dtype} of shape {tokens.shape}"
            )
        if tokens.size and (int(tokens.min()) < 0 or int(tokens.max()) >= 2**32):
            raise InvalidInput(
                f"token ids must be 0 … 2^32-1; these reach from {tokens.min()} to {tokens.max()}"
            )
        return tokens.astype("<u4")
    try:
        # A third of what numpy takes for a list, and this is done before every look-up.
        flat = tokens if isinstance(tokens, list) else list(tokens)
        return np.asarray(array("I", flat)).astype("<u4", copy=False)
    except OverflowError as error:
        raise InvalidInput(f"token ids must be 0 … 2^32-1: {error}") from error
    except TypeError as error:
        raise InvalidInput(f"token ids must be one flat list of whole numbers: {error}") from error


def link_after(before: bytes, ids: Ids) -> bytes:
    """The link of one whole granule of `ids`, which follows the link `before`."""
    return hashlib.sha256(before + ids.tobytes()).digest()


def chain(before: bytes, ids: Ids) -> list[bytes]:
    """One link of 32 bytes per whole granule of `ids`; `before` is the link that precedes them."""
    raw = memoryview(ids.tobytes())
    step = GRANULE * 4
    links = []
    link = before
    for at in range(0, len(ids) // GRANULE * step, step):
        link = hashlib.sha256(link + raw[at : at + step]).digest()
        links.append(link)
    return links


def common(left: Ids, right: Ids) -> int:
    """How many ids are equal from the start on."""
    size = min(len(left), len(right))
    differ = np.flatnonzero(left[:size] != right[:size])
    return int(differ[0]) if differ.size else size
