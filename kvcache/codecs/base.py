"""What all codecs share: packing tensors into one payload, finding them again, cutting rows.

A codec's own file has only its formula: what keys or values become, and how they come back. A
layer's positions, biases and recurrent states are stored as they are by every codec: they are
small, and errors of a state would be carried through all that follows. Works on any device; knows
no files.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from memos.errors import BlockCorrupt
from memos.kvcache.blocks.block import (
    Encoded,
    LayerRecord,
    LayerStates,
    Piece,
    RecurrentState,
    States,
)
from memos.kvcache.layout import CacheLayout

Role = Literal["keys", "values"]
Parts = Mapping[str, Tensor]

ALIGNMENT = 64
"""Bytes; every tensor of a packed payload begins at a multiple of it."""

RAW = "raw"
"""The part that is the tensor itself; any codec may give only this for what it can't code."""

_BESIDE = ("positions", "bias", "channels")
"""What a policy says of rows: few bytes, stored as they are."""


class Codec(ABC):
    """Keys and values as parts and back.

    `name` is stored with each block. `exact` says that what comes back has the same bits. One
    object serves all threads: codecs keep nothing between calls. `stacks` says that `unpack` treats
    heads alike, so that those of several layers can be given to it as those of one.
    """

    name: ClassVar[str]
    exact: ClassVar[bool] = False
    stacks: ClassVar[bool] = False

    @abstractmethod
    def pack(self, role: Role, tensor: Tensor, start: int) -> Parts:
        """`tensor` (kv_heads, n, dim), n ≥ 0, as named tensors of any dtype and shape; `start` is
        the position of its first row."""

    @abstractmethod
    def unpack(self, role: Role, parts: Parts, rows: int, dim: int, dtype: torch.dtype) -> Tensor:
        """The first `rows` rows, (kv_heads, rows, dim). Not called for a RAW part."""

    def encode(self, states: States, layout: CacheLayout) -> Encoded:
        """All layers in one uint8 tensor on the CPU; a copy, whatever the codec."""
        return packed([(_start(state), _rows(state), self._parts(state)) for state in states])

    def decode(
        self,
        payload: Tensor,
        records: Sequence[LayerRecord],
        layout: CacheLayout,
        *,
        rows: int | None = None,
        layers: Iterable[int] | None = None,
    ) -> list[LayerStates | RecurrentState]:
        """States out of a payload of bytes (uint8, one dimension), on the payload's device.

        `rows` cuts full layers to their first rows, None is all; `layers` picks some. What needs
        no decoding is a view of the payload. BlockCorrupt if the records don't fit the payload.
        """
        chosen = range(len(records)) if layers is None else layers
        return [self._layer(payload, records[at], layout, at, rows) for at in chosen]

    def _parts(self, state: LayerStates | RecurrentState) -> dict[str, Tensor]:
        if isinstance(state, RecurrentState):
            return {f"state/{name}": tensor for name, tensor in state.tensors.items()}
        keys = self.pack("keys", state.keys, state.start)
        values = self.pack("values", state.values, state.start)
        found = {f"keys/{name}": part for name, part in keys.items()}
        found |= {f"values/{name}": part for name, part in values.items()}
        for name in _BESIDE:
            part = getattr(state, name)
            if part is not None:
                found[f"{name}/{RAW}"] = part
        if state.source is not None:
            found[f"source/{RAW}"] = torch.tensor([state.source], dtype=torch.int32)
        return found

    def _layer(
        self, payload: Tensor, record: LayerRecord, layout: CacheLayout, at: int, rows: int | None
    ) -> LayerStates | RecurrentState:
        layer = layout.layers[at]
        found = {name: view(payload, piece) for name, piece in record.pieces.items()}
        if layer.kind == "recurrent":
            tensors = {name.removeprefix("state/"): tensor for name, tensor in found.items()}
            return RecurrentState(tensors, record.start)
        cut = record.rows if rows is None or layer.kind != "full" else min(rows, record.rows)
        dtype = getattr(torch, layout.dtype)
        positions, bias, channels, source = (
            found.get(f"{name}/{RAW}") for name in (*_BESIDE, "source")
        )
        dim = layer.head_dim if channels is None else channels.shape[-1]
        return LayerStates(
            keys=self._role("keys", found, cut, dim, dtype),
            values=self._role("values", found, cut, layer.value_dim, dtype),
            start=record.start,
            positions=None if positions is None else positions[..., :cut],
            bias=None if bias is None else bias[..., :cut],
            channels=channels,
            source=None if source is None else int(source[0]),
        )

    def _role(self, role: Role, found: Parts, rows: int, dim: int, dtype: torch.dtype) -> Tensor:
        head = f"{role}/"
        parts = {name[len(head) :]: part for name, part in found.items() if name.startswith(head)}
        if RAW in parts:
            return parts[RAW][:, :rows]
        return self.unpack(role, parts, rows, dim, dtype)


def packed(layers: Sequence[tuple[int, int, Mapping[str, Tensor]]]) -> Encoded:
    """Copies (start, rows, tensors by name) of all layers into one payload, in their order."""
    records, copies, offset = [], [], 0
    for start, rows, tensors in layers:
        pieces = {}
        for name, tensor in tensors.items():
            pieces[name] = Piece(dtype_name(tensor.dtype), tuple(tensor.shape), offset)
            copies.append((offset, tensor))
            offset += -(-_bytes(tensor) // ALIGNMENT) * ALIGNMENT
        records.append(LayerRecord(start, rows, pieces))
    payload = torch.zeros(offset, dtype=torch.uint8)
    for at, tensor in copies:
        size = _bytes(tensor)
        payload[at : at + size].view(tensor.dtype).view(tensor.shape).copy_(tensor)
    return Encoded(payload, tuple(records))


def view(payload: Tensor, piece: Piece) -> Tensor:
    """The piece as a tensor that shares the payload's memory."""
    dtype = getattr(torch, piece.dtype, None)
    if not isinstance(dtype, torch.dtype):
        raise BlockCorrupt(f"a block's record names {piece.dtype!r}, which is no dtype")
    size = prod(piece.shape) * dtype.itemsize
    if piece.offset + size > payload.numel():
        raise BlockCorrupt(
            f"a block's record ends at byte {piece.offset + size} of a payload of {payload.numel()}"
        )
    return payload[piece.offset : piece.offset + size].view(dtype).view(piece.shape)


def dtype_name(dtype: torch.dtype) -> str:
    """`bfloat16` for torch.bfloat16."""
    return str(dtype).removeprefix("torch.")


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _start(state: LayerStates | RecurrentState) -> int:
    return state.position if isinstance(state, RecurrentState) else state.start


def _rows(state: LayerStates | RecurrentState) -> int:
    return 0 if isinstance(state, RecurrentState) else state.keys.shape[1]
