"""A cache of several rows: prefixes that some of them share, held once, and tokens of their own.

Rows may have prefixes and prompts of different lengths. Each row's positions are kept beside its
columns, and masks follow from positions alone. It does not choose tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from memos.errors import InvalidInput, ModelError
from memos.kvcache.blocks.block import LayerStates, States
from memos.kvcache.generator.fused import fused
from memos.kvcache.layout import CacheLayout

_NOWHERE = -1
"""Position of padding."""
_ROOM = 64
JOINED_TOKENS = 16_384
"""A longer prefix is read where it lies: a copy of it takes memory, and then time too."""
_NEVER = -3.0e38
"""Added to the score of a key that must not be seen: float32's and bfloat16's range holds it."""


@dataclass(frozen=True, eq=False)
class Segment:
    """Keys and values (kv_heads, tokens, dim) that rows [first, last) have in common, unmasked:
    each of them lies before every token that these rows have of their own."""

    keys: Tensor
    values: Tensor
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Prefix:
    """Stored states of `tokens` tokens from position `start`, which rows [first, last) share."""

    states: States
    start: int
    tokens: int
    first: int
    last: int


class RowsLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """One layer's segments, and a buffer (rows, kv_heads, columns, dim) of the rows' own."""

    is_sliding = False

    def __init__(
        self,
        rows: int,
        window: int | None,
        room: int,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows = rows
        self._check = check
        self.window = window
        self.is_sliding = window is not None
        self.segments: list[Segment] = []
        self.coming: list[Callable[[], Segment]] = []
        self.mask: Tensor | None = None
        self.causal = False
        self.attended = True
        self.filled = 0
        self.before = 0
        """Columns of the buffer that hold the segments' tokens, where they were put together."""
        self._room = room
        self._buffers: list[Tensor] = []

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Adds columns; the keys it returns lead `attention.attend` back to this layer."""
        self._check()
        self._arrive()
        if self.segments and not self._buffers and joins(key_states, value_states, self):
            self._join(key_states, value_states)
        else:
            self._append(key_states, value_states)
        self._look()
        self.keys.rows = self  # type: ignore[union-attr]
        self.attended = False
        assert self.keys is not None
        assert self.values is not None
        return self.keys, self.values

    def whole(self) -> tuple[Tensor, Tensor]:
        """Keys and values of the segments and of the row's own tokens, where they were put
        together."""
        end = self.before + self.filled
        keys, values = (buffer[:, :, :end] for buffer in self._buffers)
        return keys, values

    def _look(self) -> None:
        end = self.before + self.filled
        self.keys, self.values = (buffer[:, :, self.before : end] for buffer in self._buffers)

    def _append(self, *new: Tensor) -> None:
        start = self.before + self.filled
        end = start + new[0].shape[-2]
        self._reserve(end, *new)
        for buffer, columns in zip(self._buffers, new, strict=True):
            buffer[:, :, start:end] = columns
        self.filled = end - self.before

    def _join(self, *new: Tensor) -> None:
        """One buffer for all, `new` columns included: a copy on the device is cheaper than
        attention in two places where what takes the time is to start kernels. One kernel makes it,
        room for columns to come and all."""
        before = ([s.keys for s in self.segments], [s.values for s in self.segments])
        self.lazy_initialization(*new)
        self._buffers = []
        for parts, columns in zip(before, new, strict=True):
            own = columns[0]
            room = own.new_empty((own.shape[0], max(self._room, _ROOM), own.shape[-1]))
            self._buffers.append(torch.cat([*parts, own, room], dim=1)[None])
        self.before = sum(part.shape[1] for part in before[0])
        self.filled = new[0].shape[-2]

    def _arrive(self) -> None:
        """States that are still on their way to the device are waited for only here, where the
        forward pass is about to use them."""
        self.segments += [segment() for segment in self.coming]
        self.coming = []

    def _reserve(self, end: int, *like: Tensor) -> None:
        if not self._buffers:
            self.lazy_initialization(*like)
        elif end <= self._buffers[0].shape[2]:
            return
        held = self.before + self.filled
        size = max(end + self._room, self.before + 2 * self.filled)
        grown = [t.new_empty((self.rows, t.shape[1], size, t.shape[-1])) for t in like]
        for new, old in zip(grown, self._buffers, strict=False):
            new[:, :, :held] = old[:, :, :held]
        self._buffers = grown

    def keep(self, rows: Tensor) -> None:
        """Only these rows remain, in this ascending order."""
        self.rows = len(rows)
        self._buffers = [buffer[rows] for buffer in self._buffers]
        if self._buffers:
            self._look()
        kept = rows.tolist()
        left = []
        for segment in self.segments:
            first = sum(row < segment.first for row in kept)
            last = sum(row < segment.last for row in kept)
            if first < last:
                left.append(Segment(segment.keys, segment.values, first, last))
        self.segments = left

    def hold(self, segments: Sequence[Segment], buffers: Sequence[Tensor], filled: int) -> None:
        """Takes these as all there is: buffers (rows, kv_heads, columns, dim) of keys and of
        values, of which `filled` columns are in use."""
        self.rows = len(buffers[0])
        self.segments, self._buffers = list(segments), list(buffers)
        self.before, self.filled = 0, filled
        self._look()

    def get_seq_length(self) -> int:
        return self.filled

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        # For the mask that transformers makes and `attend` does not use.
        return self.filled + query_length, 0

    def get_max_length(self) -> int:
        return -1


def joins(keys: Tensor, values: Tensor, layer: RowsLayer) -> bool:
    """Whether a layer's segments are put together with the one row's own tokens."""
    if layer.rows != 1 or not fused(keys, values):
        return False
    # Attention to each of several by itself takes longer than the copy, however long they are.
    tokens = sum(segment.keys.shape[1] for segment in layer.segments)
    return tokens <= JOINED_TOKENS or len(layer.segments) > 1


class RowsCache(Cache):
    """All layers, with the position of every column. Only for layouts without recurrent layers.

    `check` is called before each layer of a pass, and ends the pass if it raises.
    """

    layers: list[RowsLayer]  # type: ignore[assignment]

    def __init__(
        self,
        layout: CacheLayout,
        rows: int,
        device: torch.device,
        room: int,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            layers=[RowsLayer(rows, layer.window, room, check) for layer in layout.layers]
        )
        nothing = torch.empty(rows, 0, dtype=torch.long, device=device)
        windows = sorted({layer.window or 0 for layer in layout.layers})
        self.positions: dict[int, Tensor] = dict.fromkeys(windows, nothing)
        """By window, 0 for full layers: (rows, columns), the position of each own column."""
        self._device = device

    def share(self, prefixes: Sequence[Prefix]) -> None:
        """Puts stored states under the rows, before any token is run.

        Full layers read them in place, and ask for them when they are run. Of a sliding layer each
        row gets a copy of the last rows, which are few. A row's prefixes follow each other from
        position 0.
        """
        for index, layer in enumerate(self.layers):
            if layer.window is None:
                layer.coming = [partial(self._segment, prefix, index) for prefix in prefixes]
        for window in self.positions:
            if window:
                self._lay_tails(window, prefixes)

    def _segment(self, prefix: Prefix, index: int) -> Segment:
        state = _attention(prefix.states[index])
        keys, values = state.keys, state.values
        skip = prefix.start - state.start
        # Of a block that is used whole, on this device, nothing is called: there are many layers.
        if skip or keys.shape[1] != prefix.tokens:
            keys, values = (t[:, skip : skip + prefix.tokens] for t in (keys, values))
        if keys.device != self._device:
            keys, values = (t.to(self._device, non_blocking=True) for t in (keys, values))
        return Segment(keys, values, prefix.first, prefix.last)

    def _lay_tails(self, window: int, prefixes: Sequence[Prefix]) -> None:
        """Right-aligned, so that the columns before a short prefix are padding."""
        last = {row: p for p in prefixes for row in range(p.first, p.last)}
        width = max((min(p.start + p.tokens, window - 1) for p in last.values()), default=0)
        if not width:
            return
        rows = range(len(self.positions[window]))
        shape = (len(rows), width)
        positions = torch.full(shape, _NOWHERE, dtype=torch.long, device=self._device)
        for row, prefix in last.items():
            end = prefix.start + prefix.tokens
            held = min(end, window - 1)
            positions[row, width - held :] = torch.arange(end - held, end, device=self._device)
        for index, layer in enumerate(self.layers):
            if layer.window == window:
                tails = [_attention(last[r].states[index]) if r in last else None for r in rows]
                keys = aligned([t.keys if t else None for t in tails], width, self._device)
                values = aligned([t.values if t else None for t in tails], width, self._device)
                layer.update(keys, values)
                layer.attended = True
        self.positions[window] = positions

    def extend(self, positions: Tensor) -> None:
        """Announces columns (rows, n) at these positions, -1 for padding: makes the masks."""
        for window, before in self.positions.items():
            after = torch.cat([before, positions], dim=1)
            self.positions[window] = after
            mask, causal = _mask(after, positions, window)
            for layer in self.layers:
                if (layer.window or 0) == window:
                    layer.mask, layer.causal = mask, causal

    def check(self) -> None:
        """ModelError if a layer's keys did not reach our attention, so its output is wrong."""
        if not all(layer.attended for layer in self.layers):
            raise ModelError(
                "the model's attention does not use the keys that its cache returns; load it with "
                "attention='eager'"
            )

    def keep(self, rows: Sequence[int]) -> None:
        """Only these rows remain."""
        chosen = torch.tensor(rows, dtype=torch.long, device=self._device)
        self.positions = {window: held[chosen] for window, held in self.positions.items()}
        for layer in self.layers:
            layer.keep(chosen)

    def own(self) -> States:
        """Views of the only row's own columns, after its first run. Only of full layers."""
        found = []
        for layer in self.layers:
            if layer.keys is None or layer.values is None or layer.window is not None:
                raise InvalidInput("only full layers that have read tokens have columns to show")
            start = sum(segment.keys.shape[1] for segment in layer.segments)
            found.append(LayerStates(layer.keys[0], layer.values[0], start))
        return found

    def states(self, row: int, start: int, end: int) -> States:
        """Copies of one row's states of positions [start, end): what `LocalModel.from_cache` gives.
        Of sliding layers those of the last window before `end`."""
        found = []
        for layer in self.layers:
            first = start if layer.window is None else max(0, end - layer.window + 1)
            own = self.positions[layer.window or 0][row]
            columns = ((own >= first) & (own < end)).nonzero()[:, 0]
            if layer.keys is None or layer.values is None:
                raise InvalidInput("these rows have read no tokens of their own yet")
            keys, values = layer.keys[row][:, columns], layer.values[row][:, columns]
            if layer.window is None and len(columns) < end - first:
                keys, values = _with_segments(layer, row, first, end, keys, values)
            found.append(LayerStates(keys, values, first))
        return found

    def prefixes(self, row: int, start: int, end: int) -> list[Prefix]:
        """What a row has read of positions [start, end), to be put under other rows: segments
        where they lie, its own tokens as copies. Only where all layers are full."""
        mine = [[s for s in layer.segments if s.first <= row < s.last] for layer in self.layers]
        found, first = [], 0
        for parts in zip(*mine, strict=True):
            last = first + parts[0].keys.shape[1]
            begin, stop = max(start, first), min(end, last)
            if begin < stop:
                states = [LayerStates(part.keys, part.values, first) for part in parts]
                found.append(Prefix(states, begin, stop - begin, 0, 1))
            first = last
        if (begin := max(start, first)) < end:
            found.append(Prefix(self.states(row, begin, end), begin, end - begin, 0, 1))
        return found


def _with_segments(
    layer: RowsLayer, row: int, start: int, end: int, keys: Tensor, values: Tensor
) -> tuple[Tensor, Tensor]:
    mine = [s for s in layer.segments if s.first <= row < s.last]
    before = [torch.cat([getattr(s, name) for s in mine], dim=1) for name in ("keys", "values")]
    return (
        torch.cat([before[0][:, start:end], keys], dim=1),
        torch.cat([before[1][:, start:end], values], dim=1),
    )


def _attention(state: Any) -> LayerStates:
    assert isinstance(state, LayerStates), "rows have no recurrent layers"
    return state


def aligned(
    tails: Sequence[Tensor | None], width: int, device: torch.device, *, room: int = 0
) -> Tensor:
    """(rows, kv_heads, width + room, dim): the last `width` rows of each, zeros before shorter
    ones, and room after all."""
    like = next(tail for tail in tails if tail is not None)
    shape = (len(tails), like.shape[0], width + room, like.shape[-1])
    laid = torch.zeros(shape, dtype=like.dtype, device=device)
    for row, tail in enumerate(tails):
        if tail is not None:
            held = min(tail.shape[1], width)
            laid[row, :, width - held : width] = tail[:, tail.shape[1] - held :]
    return laid


def _mask(keys: Tensor, queries: Tensor, window: int) -> tuple[Tensor | None, bool]:
    """(mask (rows, 1, n, columns) to add to scores, whether it is plainly causal).

    From positions (rows, columns) and (rows, n): a query sees what is not after it and, with a
    window, fewer than `window` tokens before it. No mask if it is causal or hides nothing.
    """
    n = queries.shape[1]
    padded = bool((queries < 0).any())
    whole = not window or int(queries.max()) < window
    if n > 1 and keys.shape[1] == n and not padded and whole:
        return None, True
    seen = (keys[:, None] >= 0) & (keys[:, None] <= queries[..., None])
    if window:
        seen &= keys[:, None] > queries[..., None] - window
    if bool(seen.all()):
        return None, False
    if padded:  # a query of padding sees itself: a row of nothing has no softmax
        seen[:, :, -n:] |= torch.eye(n, dtype=torch.bool, device=keys.device)
    return torch.where(seen, 0.0, _NEVER)[:, None], False
