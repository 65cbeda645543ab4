"""The states as they are. If all layers are alike they lie in one tensor (layers, 2, kv_heads,
tokens, head_dim), so that a layer's keys are a view of the file."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from memos.kvcache.blocks.block import Encoded, LayerRecord, LayerStates, Piece, States
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


def stacked_views(
    payload: Tensor, records: Sequence[LayerRecord], layout: CacheLayout, rows: int | None
) -> list[LayerStates] | None:
    """All layers of a payload that holds them in one tensor, as `decode` gives them, in a few calls
    rather than in some for each layer; None if it is none such."""
    if not layout.uniform or not records or any(set(r.pieces) != _PIECES for r in records):
        return None
    first = records[0]
    shape = (len(records), 2, *first.pieces[f"keys/{RAW}"].shape)
    step = prod(shape[2:]) * getattr(torch, layout.dtype).itemsize
    for at, record in enumerate(records):
        places = (record.pieces[f"keys/{RAW}"], record.pieces[f"values/{RAW}"])
        wanted = tuple(Piece(layout.dtype, shape[2:], (2 * at + k) * step) for k in range(2))
        if places != wanted or record.start != first.start:
            return None
    if payload.numel() < 2 * len(records) * step:
        return None
    cut = first.rows if rows is None else min(rows, first.rows)
    whole = payload[: 2 * len(records) * step].view(getattr(torch, layout.dtype)).view(shape)
    halves = whole[:, :, :, :cut].unbind(1)
    return [
        LayerStates(keys, values, first.start)
        for keys, values in zip(halves[0].unbind(0), halves[1].unbind(0), strict=True)
    ]


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
