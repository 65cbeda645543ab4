"""Layers that are packed alike, decoded several at a time.

On a device a short state's decoding takes as long as its kernels take to start, and there are some
dozens for each layer; alike layers lie at equal distances in a payload, so one view has the parts
of several, and each kernel is started once for all of them. The numbers are the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from memos.kvcache.blocks.block import LayerRecord, LayerStates, Piece
from memos.kvcache.codecs.base import RAW, Codec, Role
from memos.kvcache.layout import CacheLayout

MOST_BYTES = 128 << 20
"""Of one group's keys in float32: what decoding holds at a time is a few times as much."""
_ROLES: tuple[Role, Role] = ("keys", "values")


def groups(
    codec: Codec,
    records: Sequence[LayerRecord],
    layout: CacheLayout,
    *,
    most_bytes: int = MOST_BYTES,
) -> list[range]:
    """Layers that `decode` takes together, in their order; a layer unlike the next stays alone."""
    found: list[range] = []
    first = 0
    for at in range(1, len(records) + 1):
        full = (at - first) * _float_bytes(records[first], layout, first) >= most_bytes
        if at == len(records) or full or not _alike(codec, records, layout, first, at):
            found.append(range(first, at))
            first = at
    return found


def decode(
    codec: Codec,
    payload: Tensor,
    records: Sequence[LayerRecord],
    layout: CacheLayout,
    group: range,
    *,
    rows: int | None = None,
) -> list[LayerStates]:
    """The states of a group of `groups` with more than one layer; as the codec's own `decode`."""
    record, layer = records[group[0]], layout.layers[group[0]]
    cut = record.rows if rows is None else min(rows, record.rows)
    dtype = getattr(torch, layout.dtype)
    keys, values = (
        codec.unpack(role, _parts(role, payload, records, group), cut, dim, dtype)
        .reshape(len(group), layer.kv_heads, cut, dim)
        .unbind(0)
        for role, dim in zip(_ROLES, (layer.head_dim, layer.value_dim), strict=True)
    )
    return [LayerStates(k, v, record.start) for k, v in zip(keys, values, strict=True)]


def _parts(
    role: Role, payload: Tensor, records: Sequence[LayerRecord], group: range
) -> dict[str, Tensor]:
    """A role's parts by name, (layers · kv_heads, …): the heads of all layers as if of one."""
    first, second = (records[at].pieces for at in group[:2])
    return {
        name.partition("/")[2]: _stacked(
            payload, piece, second[name].offset - piece.offset, len(group)
        )
        for name, piece in first.items()
        if name.startswith(f"{role}/")
    }


def _stacked(payload: Tensor, piece: Piece, step: int, count: int) -> Tensor:
    dtype = getattr(torch, piece.dtype)
    size = prod(piece.shape) * dtype.itemsize
    place = payload.storage_offset() + piece.offset
    rows = payload.as_strided((count, size), (step, 1), place)
    return rows.view(dtype).view(count, *piece.shape).flatten(0, 1)


def _alike(
    codec: Codec, records: Sequence[LayerRecord], layout: CacheLayout, first: int, at: int
) -> bool:
    """Whether layer `at` is packed as `first` is, as far behind the one before as that."""
    one, other = records[first], records[at]
    if not codec.stacks or layout.layers[first].kind != "full":
        return False
    same = layout.layers[first] == layout.layers[at] and one.rows == other.rows
    if not same or one.start != other.start or one.pieces.keys() != other.pieces.keys():
        return False
    if any(_unstackable(name) for name in one.pieces):
        return False
    steps = {
        other.pieces[name].offset - piece.offset
        if (piece.dtype, piece.shape) == (other.pieces[name].dtype, other.pieces[name].shape)
        else -1
        for name, piece in one.pieces.items()
    }
    if at == first + 1:
        return len(steps) == 1 and min(steps) > 0
    name, piece = next(iter(one.pieces.items()))
    step = records[first + 1].pieces[name].offset - piece.offset
    return steps == {(at - first) * step}


def _unstackable(name: str) -> bool:
    """Whether a piece is of no role, or what its role was given as it is."""
    role, _, part = name.partition("/")
    return role not in _ROLES or part == RAW


def _float_bytes(record: LayerRecord, layout: CacheLayout, at: int) -> int:
    layer = layout.layers[at]
    return 4 * layer.kv_heads * layer.head_dim * record.rows
