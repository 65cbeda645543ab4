"""The states as they are. If all layers are alike they lie in one tensor (layers, 2, kv_heads,
tokens, head_dim), so that a layer's keys are a view of the file."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from memos.kvcache.blocks.block import Encoded, LayerRecord, LayerStates, Piece, States
from memos.kvcache.codecs.base import RAW, Codec, Parts, Role
from memos.kvcache.layout import CacheLayout


class Raw(Codec):
    name: ClassVar[str] = "raw"
    exact: ClassVar[bool] = True

    def encode(self, states: States, layout: CacheLayout) -> Encoded:
        plain = [
            state for state in states if isinstance(state, LayerStates) and state.positions is None
        ]
        rows = {state.keys.shape[1] for state in plain}
        if not layout.uniform or len(plain) < len(states) or len(rows) != 1:
            return super().encode(states, layout)
        return _stacked(plain, layout)

    def pack(self, role: Role, tensor: Tensor, start: int) -> Parts:
        return {RAW: tensor}

    def unpack(self, role: Role, parts: Parts, rows: int, dim: int, dtype: torch.dtype) -> Tensor:
        return parts[RAW][:, :rows]


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
