"""A block: an immutable run of tokens, what every layer keeps of it, and its header.

A block is an edge of the prefix tree: any number of whole granules and, at most, one incomplete
granule at its end, the tail. Its parent is the chain hash of all that precedes it. It knows neither
files nor codecs; `memos.kvcache.blocks.file` writes it, `memos.kvcache.codecs` packs it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memos.kvcache.layout import CacheLayout

if TYPE_CHECKING:
    from torch import Tensor

GRANULE = 64
"""Tokens that share one chain hash; a block can be left or joined at any multiple of it."""

Ids = NDArray[np.uint32]
"""Token ids, little-endian."""

BlockId = str
"""64 hex digits: SHA-256 over parent, tokens, codec and policy. The name of the block's file."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerStates:
    """Keys and values of one attention layer.

    `keys` is (kv_heads, n, head_dim), `values` (kv_heads, n, value_dim). `start` is the position of
    the first row. Rows are consecutive unless `positions` says otherwise: int32, (n,) or
    (kv_heads, n), ascending; a compression policy leaves rows out.

    Policies may do more, which is None where they have not. `bias` (kv_heads, n) float32 is added
    to the attention logits of a row that stands for several. `channels` (kv_heads, fewer) int32
    says which channels of head_dim the keys have left. `source` is an earlier layer whose rows this
    one uses: it has none of its own.
    """

    keys: Tensor
    values: Tensor
    start: int
    positions: Tensor | None = None
    bias: Tensor | None = None
    channels: Tensor | None = None
    source: int | None = None

    @property
    def plain(self) -> bool:
        """Whether these are consecutive rows and nothing else."""
        more = (self.positions, self.bias, self.channels, self.source)
        return all(part is None for part in more)


@dataclass(frozen=True, slots=True, eq=False)
class RecurrentState:
    """State of one recurrent layer after the tokens before `position`; any shapes, by name."""

    tensors: Mapping[str, Tensor]
    position: int


States = Sequence[LayerStates | RecurrentState]
"""One entry per layer of the layout, first to last."""


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """A memory whose text a block was computed from."""

    id: str
    version: int


@dataclass(frozen=True, slots=True)
class Piece:
    """One tensor within a payload: dtype by torch's name, shape, offset in bytes."""

    dtype: str
    shape: tuple[int, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """Where a layer's tensors are. `rows` is 0 for recurrent states; `start` is then `position`."""

    start: int
    rows: int
    pieces: Mapping[str, Piece]


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a codec makes of states: one contiguous CPU tensor and where each layer lies in it."""

    payload: Tensor
    records: tuple[LayerRecord, ...]


@dataclass(frozen=True, eq=False)
class Header:
    """All about a block but its payload.

    `root` is the first link of the chain, `parent` the link before the block, `hashes` one link per
    whole granule. `policy` names the compression that left rows out, None if all are there.
    `flops` is what a load saves. `tokens` are not to be written to.
    `payload_dtype` and `payload_shape` are those of the one tensor, `checksum` is
    the xxh3_128 of its bytes, 32 hex digits.
    """

    root: bytes = field(repr=False)
    parent: bytes = field(repr=False)
    start: int
    tokens: Ids = field(repr=False)  # they are the text, which is not for logs
    hashes: tuple[bytes, ...] = field(repr=False)
    codec: str
    policy: str | None
    layout: CacheLayout
    sources: tuple[Source, ...]
    flops: float
    records: tuple[LayerRecord, ...] = field(repr=False)
    payload_dtype: str
    payload_shape: tuple[int, ...]
    payload_bytes: int
    checksum: str

    @cached_property
    def id(self) -> BlockId:
        return block_id(self.parent, self.tokens, self.codec, self.policy)

    @property
    def end(self) -> int:
        """Position after the last token."""
        return self.start + len(self.tokens)

    @property
    def tail(self) -> int:
        """Tokens of the incomplete granule at the end."""
        return len(self.tokens) % GRANULE

    @property
    def sliceable(self) -> bool:
        """Whether a prefix of the block can be used, not only the whole."""
        return self.policy is None and self.layout.croppable


@dataclass(frozen=True, eq=False)
class Block:
    """A block in memory. `layers` may be views of a file that only this block sees."""

    header: Header
    layers: States


def block_id(parent: bytes, tokens: Ids, codec: str, policy: str | None) -> BlockId:
    """The same for equal content only: equal parent, token ids, codec and policy."""
    digest = hashlib.sha256(parent)
    digest.update(tokens.tobytes())
    digest.update(f"\0{codec}\0{policy or ''}".encode())
    return digest.hexdigest()
