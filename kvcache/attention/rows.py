"""What is held of a text that a model has read: rows of keys and values, and where they stood.

A plain cache has one row per token, in order. A compressed one has fewer rows, other ones in each
head, rows that stand for several tokens, or none where a layer uses those of another. It does not
know how the rows were chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memos.errors import InvalidInput
from memos.kvcache.blocks.block import LayerStates, RecurrentState, States

if TYPE_CHECKING:
    import torch


Parameter = float | int | str | tuple[int, ...]
"""A number, name or list of tokens that a policy was given."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What one layer holds.

    `keys` (kv_heads, n, key_dim) with the rotation of their positions; `values` (kv_heads, n,
    value_dim); `positions` (kv_heads, n) int64, ascending in each head. `bias` (kv_heads, n)
    float32 is added to the attention logits of a row, None for 0 everywhere. `channels`
    (kv_heads, fewer) int64 says which of `key_dim` channels `keys` has, None for all. `source` is
    the earlier layer whose rows, and whose new ones too, this layer uses: its own are empty then.
    """

    keys: torch.Tensor
    values: torch.Tensor
    positions: torch.Tensor
    bias: torch.Tensor | None = None
    channels: torch.Tensor | None = None
    key_dim: int | None = None
    source: int | None = None

    def __post_init__(self) -> None:
        if (
            self.positions.shape != self.keys.shape[:2]
            or self.values.shape[:2] != self.keys.shape[:2]
        ):
            raise InvalidInput(
                f"keys {tuple(self.keys.shape)}, values {tuple(self.values.shape)} and positions "
                f"{tuple(self.positions.shape)} are not of the same heads and rows"
            )

    @property
    def count(self) -> int:
        """Rows in each head."""
        return int(self.keys.shape[1])

    @property
    def bytes(self) -> int:
        """Of keys and values alone; `overhead` counts what says which they are."""
        return _bytes(self.keys) + _bytes(self.values)

    @property
    def overhead(self) -> int:
        """Bytes of positions (4 each), biases and channels."""
        extra = [part for part in (self.bias, self.channels) if part is not None]
        return 4 * self.positions.numel() + sum(4 * part.numel() for part in extra)

    def full_keys(self) -> torch.Tensor:
        """(kv_heads, n, key_dim): pruned channels are 0, so they add nothing to any logit."""
        if self.channels is None:
            return self.keys
        heads, count, _ = self.keys.shape
        full = self.keys.new_zeros(heads, count, self.key_dim or 0)
        index = self.channels[:, None, :].expand(-1, count, -1)
        return full.scatter_(2, index, self.keys)


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of `length` tokens, layer by layer, and how it came to be.

    `policy` names what chose the rows ("" for all), `parameters` are its numbers, `ratio` is the
    share of rows that it was asked to remove. New tokens go on at position `length`, however few
    rows there are.
    """

    layers: tuple[Rows, ...]
    length: int
    policy: str = ""
    ratio: float = 0.0
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return sum(layer.bytes for layer in self.layers)

    @property
    def overhead(self) -> int:
        """Bytes that say which rows they are; a cache of all rows needs none."""
        return sum(layer.overhead for layer in self.layers) if self.policy else 0


def plain(
    layers: Sequence[tuple[torch.Tensor, torch.Tensor]], *, start: Sequence[int] | None = None
) -> Held:
    """All rows of (keys, values) of each layer, shaped (kv_heads, n, dim) or with a batch of one
    before. `start` is the position of each layer's first row: not 0 where a window has moved on."""
    import torch

    rows = []
    for index, (keys, values) in enumerate(layers):
        keys, values = (part[0] if part.dim() == 4 else part for part in (keys, values))
        first = 0 if start is None else start[index]
        positions = torch.arange(first, first + keys.shape[1], device=keys.device)
        rows.append(Rows(keys, values, positions.expand(keys.shape[0], -1)))
    ends = {int(row.positions[0, -1]) + 1 for row in rows}
    if len(ends) != 1:
        raise InvalidInput(f"the layers end at different tokens: {sorted(ends)}")
    return Held(tuple(rows), ends.pop())


def from_states(
    states: States, *, length: int | None = None, key_dim: Sequence[int] | None = None
) -> Held:
    """What is held by the states of a block from the text's begin. `length` is how many tokens the
    text has: one more than the last position that any layer has, if None, which is wrong if a
    policy has dropped the end. `key_dim` are the channels of each layer's keys before any were
    pruned; as many as its values have, if None. InvalidInput for recurrent states: they are no
    rows."""
    import torch

    rows = []
    for index, state in enumerate(states):
        if isinstance(state, RecurrentState):
            raise InvalidInput(f"layer {index} has a recurrent state: only rows can be held")
        heads, count = state.keys.shape[:2]
        at = state.positions
        if at is None:
            at = torch.arange(state.start, state.start + count, device=state.keys.device)
        rows.append(
            Rows(
                state.keys,
                state.values,
                at.long().expand(heads, -1),
                bias=state.bias,
                channels=None if state.channels is None else state.channels.long(),
                key_dim=int(state.values.shape[2]) if key_dim is None else key_dim[index],
                source=state.source,
            )
        )
    if length is None:
        length = 1 + max(int(layer.positions.max()) for layer in rows if layer.count)
    return Held(tuple(rows), length)


def to_states(held: Held) -> list[LayerStates]:
    """As the states of a block, with positions where rows are missing."""
    import torch

    found = []
    for rows in held.layers:
        first = int(rows.positions.min()) if rows.count else held.length
        all_rows = torch.arange(first, held.length, device=rows.positions.device)
        whole = rows.count == len(all_rows) and bool((rows.positions == all_rows).all())
        at = None if whole else rows.positions.to(torch.int32)
        channels = None if rows.channels is None else rows.channels.to(torch.int32)
        found.append(
            LayerStates(rows.keys, rows.values, first, at, rows.bias, channels, rows.source)
        )
    return found


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
