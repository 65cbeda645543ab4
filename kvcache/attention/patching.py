"""Some tokens of what is held computed again in their places, with all before them in sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from memos.errors import InvalidInput
from memos.kvcache.attention import masks
from memos.kvcache.attention.hooks import of_this_thread
from memos.kvcache.attention.modules import attentions, decoder, windows
from memos.kvcache.attention.rows import Held, Rows

if TYPE_CHECKING:
    import torch


class _Reached(Exception):
    """The layer after the last one that is wanted is about to run."""


def patched(
    model: Any, held: Held, tokens: Sequence[int], at: Sequence[int], *, depth: int | None = None
) -> Held:
    """`held` with the rows of tokens[i] at position at[i] (ascending) computed anew.

    Each layer's new rows are in place before its attention looks, so a token that is computed again
    sees the new rows of those before it and the old rows of the others. `held` must have one row
    for each position of [0, length), the same in all heads. Only the first `depth` layers run, if
    it is given; the others keep their rows.
    """
    import torch
    from transformers import Cache

    if len(tokens) != len(at) or not all(0 <= position < held.length for position in at):
        raise InvalidInput(f"{len(tokens)} tokens for {len(at)} positions below {held.length}")
    if any(rows.count != held.length for rows in held.layers):
        raise InvalidInput("rows are missing: only a cache that has all can be patched")
    if not at:
        return held
    where = torch.tensor(list(at), device=model.device)
    layers = [_patching(rows, where) for rows in held.layers]
    mask_of = _masks(model, held, where)
    unused = torch.zeros(1, 1, 1, 1, dtype=model.dtype, device=model.device)
    stop = None if depth is None else _stop_before(model, depth)
    try:
        with torch.inference_mode(), masks.replaced(model, mask_of):
            model(
                input_ids=torch.tensor([list(tokens)], device=model.device),
                position_ids=where[None],
                attention_mask=unused,
                past_key_values=Cache(layers=layers),
                use_cache=True,
                logits_to_keep=1,
            )
    except _Reached:
        pass
    finally:
        if stop is not None:
            stop.remove()
    new = [
        replace(rows, keys=layer.keys[0], values=layer.values[0])
        for rows, layer in zip(held.layers, layers, strict=True)
    ]
    return replace(held, layers=tuple(new))


def _masks(model: Any, held: Held, where: torch.Tensor) -> masks.MaskOf:
    sliding, groups = windows(model), [part.num_key_value_groups for part in attentions(model)]
    made: dict[int | None, torch.Tensor] = {}

    def mask_of(index: int) -> torch.Tensor:
        window = sliding[index]
        if window not in made:
            made[window] = masks.additive(
                where,
                held.layers[index].positions,
                window=window,
                bias=None,
                groups=groups[index],
                dtype=model.dtype,
            )
        return made[window]

    return mask_of


def _patching(rows: Rows, where: torch.Tensor) -> Any:
    """A cache layer of transformers whose update writes at `where` instead of at the end."""
    from transformers import cache_utils

    layer_class: Any = cache_utils.DynamicLayer

    class Patching(layer_class):  # type: ignore[misc]
        def update(self, keys: Any, values: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            self.keys = old_keys.index_copy(2, where, keys)
            self.values = old_values.index_copy(2, where, values)
            return self.keys, self.values

    old_keys, old_values = rows.keys[None], rows.values[None]
    layer = Patching()
    layer.lazy_initialization(old_keys, old_values)
    layer.keys, layer.values = old_keys, old_values
    return layer


def _stop_before(model: Any, depth: int) -> Any:
    layers = decoder(model).layers
    if depth >= len(layers):
        return None

    def stop(module: Any, args: Any) -> None:
        raise _Reached

    return layers[depth].register_forward_pre_hook(of_this_thread(stop))
