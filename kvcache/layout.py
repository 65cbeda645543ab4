"""The shape of a model's cache: what each layer keeps for a token, or in place of all tokens.

Pure Python. It does not know a model's class, nor how the states are written to a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import prod
from typing import Any, Literal, get_args

from memos.errors import InvalidInput

Kind = Literal["full", "sliding", "recurrent"]

ITEM_BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of one number of a cache, by the name of its dtype."""


@dataclass(frozen=True, slots=True)
class LayerLayout:
    """What one layer keeps.

    full: keys (kv_heads, tokens, head_dim) and values (kv_heads, tokens, value_dim) of every token.
    sliding: the same of the last `window` - 1 tokens only; more would never be looked at.
    recurrent: no tokens at all but states of fixed shape, `state_shapes`, in which all that was
    read is mixed; kv_heads, head_dim and value_dim are 0. Convolutional states come first.
    `rope_base` is the base of the rotary positions (theta); None where keys carry none.
    """

    kind: Kind
    kv_heads: int
    head_dim: int
    value_dim: int
    window: int | None = None
    rope_base: float | None = None
    state_shapes: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InvalidInput(
                f"a layer of a cache is {', '.join(get_args(Kind))}, not {self.kind!r}"
            )
        if (self.kind == "sliding") != (self.window is not None):
            raise InvalidInput(
                f"a {self.kind} layer with window {self.window}: a sliding layer has one, and no "
                "other does"
            )

    @property
    def numbers_per_token(self) -> int:
        return self.kv_heads * (self.head_dim + self.value_dim)

    @property
    def numbers_fixed(self) -> int:
        """Numbers that don't depend on how many tokens were read."""
        return sum(prod(shape) for shape in self.state_shapes)

    def kept(self, tokens: int) -> int:
        """How many of `tokens` tokens the layer keeps rows of."""
        if self.kind == "recurrent":
            return 0
        return tokens if self.window is None else min(tokens, self.window - 1)


_FIELDS = tuple(spec.name for spec in fields(LayerLayout))


@dataclass(frozen=True, slots=True)
class CacheLayout:
    """All the layers, first to last, and the dtype of their numbers (a key of ITEM_BYTES).

    A layer of a hybrid model that has both attention and recurrent states stands here as two
    entries, the attention first: entries correspond to stored states, not to a model's layers.
    """

    layers: tuple[LayerLayout, ...]
    dtype: str

    def __post_init__(self) -> None:
        if self.dtype not in ITEM_BYTES:
            raise InvalidInput(f"the dtype of a cache is {', '.join(ITEM_BYTES)}, not {self.dtype}")
        if not self.layers:
            raise InvalidInput("a cache without layers; is this a language model?")

    @property
    def uniform(self) -> bool:
        """Whether all layers are full and alike, so that one tensor (layers, 2, kv_heads, tokens,
        head_dim) holds them all."""
        first = self.layers[0]
        return (
            first.kind == "full"
            and first.head_dim == first.value_dim
            and all(_shape(layer) == _shape(first) for layer in self.layers)
        )

    @property
    def croppable(self) -> bool:
        """Whether the states of a shorter prefix can be cut out of those of a longer one."""
        return all(layer.kind == "full" for layer in self.layers)

    def bytes_per_token(self) -> int:
        """Bytes that one more token adds, before any window is full."""
        return sum(layer.numbers_per_token for layer in self.layers) * ITEM_BYTES[self.dtype]

    def bytes_of(self, tokens: int) -> int:
        """Bytes of the whole cache after `tokens` tokens."""
        numbers = sum(
            layer.numbers_per_token * layer.kept(tokens) + layer.numbers_fixed
            for layer in self.layers
        )
        return numbers * ITEM_BYTES[self.dtype]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `from_dict` reads it."""
        layers = [{name: getattr(layer, name) for name in _FIELDS} for layer in self.layers]
        return {"layers": layers, "dtype": self.dtype}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> CacheLayout:
        """InvalidInput if `content` is not what `to_dict` gives."""
        try:
            layers = [
                {**layer, "state_shapes": tuple(tuple(shape) for shape in layer["state_shapes"])}
                for layer in content["layers"]
            ]
            return cls(tuple(LayerLayout(**layer) for layer in layers), content["dtype"])
        except (KeyError, TypeError) as error:
            raise InvalidInput(f"this is no layout of a cache: {error!r}") from error


def _shape(layer: LayerLayout) -> tuple[str, int, int, int]:
    return (layer.kind, layer.kv_heads, layer.head_dim, layer.value_dim)
