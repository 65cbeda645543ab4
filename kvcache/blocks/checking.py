"""States that are about to be stored: do they fit the layout and the tokens?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from memos.errors import InvalidInput
from memos.kvcache.blocks.block import LayerStates, RecurrentState, States
from memos.kvcache.layout import CacheLayout, LayerLayout


def fitting(
    states: States, layout: CacheLayout, *, start: int, end: int, compressed: bool
) -> States:
    """The states as they are to be stored, for tokens [start, end).

    Sliding layers are cut to the last window - 1 rows before `end`. InvalidInput names the first
    layer that doesn't fit: another kind, shape, dtype or number of rows. The rows of compressed
    states are the policy's affair.
    """
    if len(states) != len(layout.layers):
        raise InvalidInput(f"{len(states)} layers of states; the layout has {len(layout.layers)}")
    return [
        _layer(at, state, layer, layout.dtype, start, end, compressed)
        for at, (state, layer) in enumerate(zip(states, layout.layers, strict=True))
    ]


def _layer(
    at: int,
    state: LayerStates | RecurrentState,
    layer: LayerLayout,
    dtype: str,
    start: int,
    end: int,
    compressed: bool,
) -> LayerStates | RecurrentState:
    if isinstance(state, RecurrentState) != (layer.kind == "recurrent"):
        raise InvalidInput(f"layer {at} is {layer.kind}; its states are {type(state).__name__}")
    if isinstance(state, RecurrentState):
        if state.position != end:
            raise InvalidInput(f"layer {at} has the state after {state.position} tokens, not {end}")
        return state
    _check_shapes(at, state, layer, dtype)
    return state if compressed else _cut(at, state, layer, start, end)


def _check_shapes(at: int, state: LayerStates, layer: LayerLayout, dtype: str) -> None:
    rows = state.keys.shape[1] if state.keys.ndim == 3 else -1
    dim = layer.head_dim if state.channels is None else state.channels.shape[-1]
    _check(at, "keys", state.keys, (layer.kv_heads, rows, dim), dtype)
    _check(at, "values", state.values, (layer.kv_heads, rows, layer.value_dim), dtype)
    if state.bias is not None and tuple(state.bias.shape) != (layer.kv_heads, rows):
        raise InvalidInput(
            f"layer {at}: a bias of {tuple(state.bias.shape)} for (kv_heads, rows) = "
            f"{(layer.kv_heads, rows)}"
        )
    if state.source is not None and (rows or not 0 <= state.source < at):
        raise InvalidInput(
            f"layer {at} uses the rows of layer {state.source} and has {rows} of its own; it must "
            "be an earlier one, and none"
        )


def _check(at: int, what: str, tensor: Tensor, shape: Sequence[int], dtype: str) -> None:
    if tuple(tensor.shape) != tuple(shape) or tensor.dtype != getattr(torch, dtype):
        raise InvalidInput(
            f"layer {at}: {what} are {tuple(tensor.shape)} of {tensor.dtype}; the layout has "
            f"(kv_heads, tokens, dim) = {tuple(shape)} of {dtype}"
        )


def _cut(at: int, state: LayerStates, layer: LayerLayout, start: int, end: int) -> LayerStates:
    rows = state.keys.shape[1]
    if layer.kind == "full":
        if (state.start, rows) != (start, end - start) or not state.plain:
            raise InvalidInput(
                f"layer {at} has {rows} rows from {state.start}; tokens are [{start}, {end})"
            )
        return state
    kept = layer.kept(end)
    if state.start + rows != end or rows < kept:
        raise InvalidInput(
            f"layer {at} has rows [{state.start}, {state.start + rows}); its window needs "
            f"[{end - kept}, {end})"
        )
    more = rows - kept
    return replace(
        state,
        keys=state.keys[:, more:],
        values=state.values[:, more:],
        start=end - kept,
    )
