"""The states as they are. If all layers are alike they lie in one tensor (layers, 2, kv_heads,
tokens, head_dim), so that a layer's keys are a view of the file."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from memos.kvcache.blocks.block import Encoded, Header, LayerRecord, LayerStates, Piece, States
from memos.kvcache.codecs.base import RAW, Codec, Parts, Role
from memos.kvcache.layout import CacheLayout

_PIECES = {f"keys/{RAW}", f"values/{RAW}"}


class Raw(Codec):
    name: ClassVar[str] = "raw"
    exact: ClassVar[bool] = True

    def encode(self, states: States, layout: CacheLayout) -> Encoded:
        plain = [state for state in states if isinstance(state, LayerStates) and state.plain]
        rows = {state.keys.shape[1] for state in plain}
        if not layout.uniform or len(plain) < len(states) or len(rows) != 1:
            return super().encode(states, layout)
        return _stacked(plain, layout)

    def pack(self, role: Role, tensor: Tensor, start: int) -> Parts:
        return {RAW: tensor}

    def unpack(self, role: Role, parts: Parts, rows: int, dim: int, dtype: torch.dtype) -> Tensor:
        return parts[RAW][:, :rows]


@lru_cache(maxsize=4096)
def _stacking(header: Header) -> tuple[int, ...] | None:
    """The shape of the one tensor that holds a block's layers; None if they don't lie in one. A
    header is asked at each load, and does not change."""
    records, layout = header.records, header.layout
    if not layout.uniform or not records or any(set(r.pieces) != _PIECES for r in records):
        return None
    first = records[0]
    shape = first.pieces[f"keys/{RAW}"].shape
    step = prod(shape) * getattr(torch, layout.dtype).itemsize
    for at, record in enumerate(records):
        places = (record.pieces[f"keys/{RAW}"], record.pieces[f"values/{RAW}"])
        wanted = tuple(Piece(layout.dtype, shape, (2 * at + k) * step) for k in range(2))
        if places != wanted or record.start != first.start:
            return None
    return (len(records), 2, *shape)


def stacked_views(payload: Tensor, header: Header, rows: int | None) -> list[LayerStates] | None:
    """All layers of a payload that holds them in one tensor, as `decode` gives them, in a few calls
    rather than in some for each layer; None if it is none such."""
    shape = _stacking(header)
    dtype = getattr(torch, header.layout.dtype)
    if shape is None or payload.numel() < prod(shape) * dtype.itemsize:
        return None
    first = header.records[0]
    whole = payload[: prod(shape) * dtype.itemsize].view(dtype).view(shape)
    if rows is not None and rows < first.rows:
        whole = whole[:, :, :, :rows]
    keys, values = (half.unbind(0) for half in whole.unbind(1))
    return [LayerStates(k, v, first.start) for k, v in zip(keys, values, strict=True)]


def _stacked(states: list[LayerStates], layout: CacheLayout) -> Encoded:
    heads, rows, dim = states[0].keys.shape
    dtype = getattr(torch, layout.dtype)
    payload = torch.empty((len(states), 2, heads, rows, dim), dtype=dtype)
    records = []
    step = heads * rows * dim * dtype.itemsize
    for at, state in enumerate(states):
        payload[at, 0].copy_(state.keys)
        payload[at, 1].copy_(state.values)
        shape = (heads, rows, dim)
        keys = Piece(layout.dtype, shape, 2 * at * step)
        values = Piece(layout.dtype, shape, (2 * at + 1) * step)
        pieces = {f"keys/{RAW}": keys, f"values/{RAW}": values}
        records.append(LayerRecord(state.start, rows, pieces))
    return Encoded(payload, tuple(records))
