"""A block's states to its payload and back, by the codec that its header names."""

from __future__ import annotations

from torch import Tensor

from memos.kvcache.blocks.block import Header, States
from memos.kvcache.blocks.checking import fitting
from memos.kvcache.blocks.file import sealed
from memos.kvcache.codecs.registry import codec_named


def encoded(header: Header, states: States) -> tuple[Header, memoryview]:
    """The whole header and the payload's bytes, a copy of the states; InvalidInput if they don't
    fit the header's layout and tokens."""
    fit = fitting(
        states,
        header.layout,
        start=header.start,
        end=header.end,
        compressed=header.policy is not None,
    )
    return sealed(header, codec_named(header.codec).encode(fit, header.layout))


def decoded(header: Header, payload: Tensor, rows: int | None) -> States:
    """States out of a payload (uint8), on its device; `rows` cuts full layers, None is all."""
    codec = codec_named(header.codec)
    return codec.decode(payload, header.records, header.layout, rows=rows)
