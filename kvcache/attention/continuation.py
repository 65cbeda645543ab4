"""New tokens after what is held of a text, at the positions they would have had after all of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from memos.errors import InvalidInput
from memos.kvcache.attention import masks
from memos.kvcache.attention.modules import attentions, kv_shape, windows
from memos.kvcache.attention.rows import Held, Rows

if TYPE_CHECKING:
    import torch


class Continuation:
    """Runs tokens after a Held; what it holds itself grows, the Held never changes.

    One thread at a time may use it; others may use the model meanwhile.
    """

    def __init__(self, model: Any, held: Held) -> None:
        if len(held.layers) != len(attentions(model)):
            raise InvalidInput(
                f"{len(held.layers)} layers are held and the model has {len(attentions(model))}: "
                "they are of another model"
            )
        self._model = model
        self._windows = windows(model)
        self._layers = [_Layer(rows, model.device) for rows in held.layers]
        for layer in self._layers:
            if layer.source is not None:
                layer.origin = self._layers[layer.source]
        self.position = held.length

    @classmethod
    def empty(cls, model: Any, start: int = 0) -> Continuation:
        """After nothing at all; the first token stands at `start`."""
        import torch

        layers = []
        for module in attentions(model):
            heads, dim = kv_shape(module)
            none = torch.zeros(heads, 0, dim, dtype=model.dtype, device=model.device)
            at = torch.zeros(heads, 0, dtype=torch.long, device=model.device)
            layers.append(Rows(none, none, at))
        return cls(model, Held(tuple(layers), start))

    def feed(self, tokens: Sequence[int]) -> torch.Tensor:
        """Logits (len(tokens), vocabulary) in float32, one row after each token."""
        import torch
        from transformers import Cache

        if not tokens:
            raise InvalidInput("no tokens to run: give at least one")
        device = self._model.device
        ids = torch.tensor([list(tokens)], device=device)
        at = torch.arange(self.position, self.position + len(tokens), device=device)
        unused = torch.zeros(1, 1, 1, 1, dtype=self._model.dtype, device=device)
        for layer in self._layers:
            layer.extend(at)
        with torch.inference_mode(), masks.replaced(self._model, self._mask_of(at)):
            output = self._model(
                input_ids=ids,
                position_ids=at[None],
                attention_mask=unused,
                past_key_values=Cache(layers=self._cache_layers()),
                use_cache=True,
            )
        self.position += len(tokens)
        logits: torch.Tensor = output.logits[0].float()
        return logits

    def generate(
        self, tokens: Sequence[int], count: int, *, stop: Collection[int] = ()
    ) -> list[int]:
        """The `count` likeliest next tokens after `tokens`, fewer if one of `stop` comes."""
        found: list[int] = []
        pending = list(tokens)
        while len(found) < count:
            pending = [int(self.feed(pending)[-1].argmax())]
            if pending[0] in stop:
                break
            found += pending
        return found

    def rows_of(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values (kv_heads, n, dim) that layer `index` sees by now."""
        layer = self._layers[index].origin
        return layer.keys[0], layer.values[0]

    def _cache_layers(self) -> list[Any]:
        return [layer.for_cache() for layer in self._layers]

    def _mask_of(self, at: torch.Tensor) -> Callable[[int], torch.Tensor | None]:
        groups = [module.num_key_value_groups for module in attentions(self._model)]

        def mask_of(index: int) -> torch.Tensor | None:
            layer = self._layers[index].origin
            return masks.additive(
                at,
                layer.positions,
                window=self._windows[index],
                bias=layer.bias,
                groups=groups[index],
                dtype=self._model.dtype,
            )

        return mask_of


class _Layer:
    """The rows of one layer, growing; `origin` is the layer whose rows are used, mostly itself."""

    def __init__(self, rows: Rows, device: Any) -> None:
        self.keys = rows.full_keys()[None].to(device)
        self.values = rows.values[None].to(device)
        self.positions = rows.positions.to(device)
        self.bias = None if rows.bias is None else rows.bias.to(device)
        self.source = rows.source
        self.origin: _Layer = self

    def extend(self, at: torch.Tensor) -> None:
        import torch

        new = at.expand(self.positions.shape[0], -1)
        self.positions = torch.cat([self.positions, new], dim=1)
        if self.bias is not None:
            self.bias = torch.cat([self.bias, self.bias.new_zeros(new.shape)], dim=1)

    def for_cache(self) -> Any:
        """A cache layer of transformers whose update appends here, or reads at the origin."""
        from transformers import cache_utils

        owner = self
        layer_class: Any = cache_utils.DynamicLayer

        class Appending(layer_class):  # type: ignore[misc]
            def update(self, keys: Any, values: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
                return owner.append(keys, values)

            def get_seq_length(self) -> int:
                return int(owner.origin.keys.shape[2])

        return Appending()

    def append(self, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        if self.origin is not self:
            return self.origin.keys, self.origin.values
        self.keys = torch.cat([self.keys, keys], dim=2)
        self.values = torch.cat([self.values, values], dim=2)
        return self.keys, self.values
