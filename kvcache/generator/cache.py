"""Between stored states and the cache objects of transformers.

A stored state is a plain tensor per layer; transformers wraps it in a layer object of a class that
depends on the model. Everything that knows these classes is here. It does not know files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import (
    CacheLayerMixin,
    DummyLayer,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionCacheLayerMixin,
)

from memos.errors import InvalidInput
from memos.kvcache.blocks.block import LayerStates, RecurrentState, States
from memos.kvcache.layout import ITEM_BYTES, CacheLayout, Kind, LayerLayout

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig

_SLACK = 64
"""Rows that a full buffer grows by at least."""


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """A full-attention layer whose buffer has room for tokens to come.

    transformers' own layer copies the whole cache at each token. Here a token is written at its
    place; `keys` and `values` are views of what is filled. The buffer doubles when it is full.
    """

    def __init__(self, room: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._room = room
        self._filled = 0
        self._buffers: list[Tensor] = []

    def fill(self, keys: Tensor, values: Tensor) -> None:
        """Makes (1, kv_heads, n, dim) the whole content, copied."""
        self._filled = 0
        self._buffers = []
        self.update(keys, values)

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self._filled + key_states.shape[-2]
        self._reserve(end, key_states, value_states)
        for buffer, rows in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, self._filled : end] = rows
        self._filled = end
        self.keys, self.values = (buffer[:, :, :end] for buffer in self._buffers)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        return self._filled

    def _reserve(self, end: int, *like: Tensor) -> None:
        if self._buffers and end <= self._buffers[0].shape[2]:
            return
        size = max(end + self._room, 2 * self._filled, end + _SLACK)
        grown = [t.new_empty((*t.shape[:2], size, t.shape[-1])) for t in like]
        for new, old in zip(grown, self._buffers, strict=False):
            new[:, :, : self._filled] = old[:, :, : self._filled]
        self._buffers = grown

    def crop(self, tokens_to_remove: int) -> None:
        """As transformers has it: a negative number of tokens to remove from the end."""
        super().crop(tokens_to_remove)
        self._filled = self.keys.shape[-2] if self.keys is not None else 0

    def reset(self) -> None:
        self._filled, self._buffers = 0, []
        super().reset()

    def _rebuffered(self) -> None:
        if self.keys is not None and self.values is not None:
            self._buffers = [self.keys, self.values]

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        super().reorder_cache(beam_idx)
        self._rebuffered()

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self._rebuffered()

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)
        self._rebuffered()


class CountedCache(DynamicCache):
    """Of recurrent layers only: no rows tell how many tokens were read, so whoever runs them says
    it in `read`."""

    read = 0

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.read


def has_attention(config: PreTrainedConfig) -> bool:
    """Whether any layer of such a model keeps rows of tokens."""
    return _has_rows(DynamicCache(config=config))


def empty_cache(config: PreTrainedConfig, *, room: int = 0) -> DynamicCache:
    """The cache that the model's layers ask for, with `room` tokens of reserve in full layers."""
    cache = DynamicCache(config=config)
    if not _has_rows(cache):
        return CountedCache(config=config)
    cache.layers = [
        RoomyLayer(room) if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache


def layout_of(cache: Any, bases: Sequence[float | None]) -> CacheLayout:
    """The layout of a cache that has seen a token. `bases`: rope base of each model layer. The
    dtype is that of rows, or of the convolutions of a model that keeps none.

    InvalidInput for a kind of layer that can't be stored, such as one with an index of its own.
    """
    found: list[LayerLayout] = []
    dtypes = set()
    for (layer, kind), base in zip(_parts(cache), _per_part(cache, bases), strict=True):
        if kind == "recurrent":
            states = _states(layer)
            shapes = tuple(tuple(state.shape[1:]) for state in states.values())
            found.append(LayerLayout("recurrent", 0, 0, 0, state_shapes=shapes))
            if isinstance(cache, CountedCache):
                dtypes.add(_name(next(iter(states.values()))))
            continue
        dtypes.add(_name(layer.keys))
        window = layer.sliding_window if kind == "sliding" else None
        heads, width = layer.keys.shape[1], layer.keys.shape[-1]
        found.append(LayerLayout(kind, heads, width, layer.values.shape[-1], window, base))
    if len(dtypes) != 1:
        raise InvalidInput(
            f"a cache whose layers have the dtypes {', '.join(sorted(dtypes))}; only "
            f"one of {', '.join(ITEM_BYTES)} for all can be stored"
        )
    return CacheLayout(tuple(found), dtypes.pop())


def from_cache(cache: Any, *, start: int, end: int) -> States:
    """Copies of the states of tokens [start, end); `end` may lie before the cache's only if all
    layers are full. A sliding layer gives the last rows before `end` that it has, from before
    `start` too, since a snapshot must be whole. InvalidInput for a range that is not there.
    """
    total = int(cache.get_seq_length())
    if not 0 <= start < end <= total:
        raise InvalidInput(f"no tokens [{start}, {end}) in a cache of {total} tokens")
    found: list[LayerStates | RecurrentState] = []
    for layer, kind in _parts(cache):
        if kind != "full" and end != total:
            raise InvalidInput(
                f"a {kind} layer can't give the states at {end}, it is at {total}; prefill up to "
                f"{end} first"
            )
        if kind == "recurrent":
            states = {name: state[0].clone() for name, state in _states(layer).items()}
            found.append(RecurrentState(states, end))
        else:
            first = total - layer.keys.shape[-2] if kind == "sliding" else start
            rows = slice(None) if kind == "sliding" else slice(start, end)
            keys, values = (t[0, :, rows].clone() for t in (layer.keys, layer.values))
            found.append(LayerStates(keys, values, first))
    return found


def to_cache(
    states: States,
    config: PreTrainedConfig,
    *,
    tokens: int,
    room: int,
    device: torch.device,
) -> DynamicCache:
    """A cache of its own with a copy of `states`, which are those after `tokens` tokens.

    InvalidInput if the states are not as many as the model's layers, or miss rows.
    """
    cache = empty_cache(config, room=room)
    parts = list(_parts(cache))
    if len(parts) != len(states):
        raise InvalidInput(f"{len(states)} states for a model of {len(parts)} layers")
    for (layer, kind), state in zip(parts, states, strict=True):
        if isinstance(state, RecurrentState):
            _restore(layer, state, device)
        else:
            _fill(layer, kind, state, tokens, device)
    if isinstance(cache, CountedCache):
        cache.read = tokens
    return cache


def _fill(layer: Any, kind: Kind, state: LayerStates, tokens: int, device: torch.device) -> None:
    held = state.keys.shape[-2]
    wanted = tokens if kind == "full" else min(tokens, layer.sliding_window - 1)
    if state.start + held != tokens or held < wanted or state.positions is not None:
        raise InvalidInput(
            f"a {kind} layer needs the {wanted} rows before position {tokens}; there are {held} "
            f"from {state.start}"
        )
    rows = (state.keys[None, :, held - wanted :], state.values[None, :, held - wanted :])
    if isinstance(layer, RoomyLayer):
        layer.fill(*(t.to(device, non_blocking=True) for t in rows))
        return
    keys, values = (t.to(device, copy=True) for t in rows)
    # By name: in a hybrid layer the method of the same name is that of its recurrent half.
    DynamicLayer.lazy_initialization(layer, keys, values)
    layer.keys, layer.values = keys, values
    if kind == "sliding":
        layer._sliding_window_tensor = layer._sliding_window_tensor.to(device)
        layer.cumulative_length = tokens


def _restore(layer: Any, state: RecurrentState, device: torch.device) -> None:
    for name, tensor in state.tensors.items():
        family, _, index = name.partition(".")
        # The layer writes into its states at each token, so they must be copies.
        value = tensor[None].to(device, copy=True)
        getattr(layer, f"{family}_states")[int(index)] = value
        getattr(layer, f"is_{family}_states_initialized")[int(index)] = True
        layer.has_previous_state[int(index)] = True
        layer.dtype, layer.device = value.dtype, value.device
        if family == "conv":
            layer.conv_kernel_size[int(index)] = value.shape[-1]


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _has_rows(cache: DynamicCache) -> bool:
    layers = cache.layers
    return not layers or any(isinstance(layer, CacheLayerMixin) for layer in layers)


def _states(layer: Any) -> dict[str, Tensor]:
    """`conv.0`, `conv.1`, … and `recurrent.0`, …: the (1, …) states that the layer has."""
    return {
        f"{family}.{index}": state
        for family in ("conv", "recurrent")
        for index, state in getattr(layer, f"{family}_states").items()
        if state is not None
    }


def _parts(cache: Any) -> Iterator[tuple[Any, Kind]]:
    """(layer, kind), twice for a hybrid layer: its attention, then its recurrent half."""
    for layer in cache.layers:
        yield from ((layer, kind) for kind in _kinds(layer))


def _per_part(cache: Any, values: Sequence[Any]) -> Iterator[Any]:
    for layer, value in zip(cache.layers, values, strict=True):
        yield from (value for _ in _kinds(layer))


def _kinds(layer: Any) -> list[Kind]:
    if isinstance(layer, DummyLayer):
        return []
    kinds: list[Kind] = []
    recurrent = isinstance(layer, LinearAttentionCacheLayerMixin)
    if isinstance(layer, DynamicSlidingWindowLayer):
        kinds.append("sliding")
    elif type(layer) in (DynamicLayer, RoomyLayer) or (
        recurrent and DynamicLayer in type(layer).__mro__
    ):
        kinds.append("full")
    elif isinstance(layer, CacheLayerMixin):
        raise InvalidInput(f"a cache layer of the kind {type(layer).__name__} can't be stored")
    if recurrent:
        kinds.append("recurrent")
    return kinds
