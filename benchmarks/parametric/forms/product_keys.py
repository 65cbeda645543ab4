"""A product-key memory beside the feed-forward part of one layer.

For each head, a query q = norm(W x), of two halves, is compared with two sets of n keys: of each
half the k likeliest are taken, of their k² pairs the k with the largest sums, and the values of
those pairs, one of n² each, are added by the softmax of the sums (Lample et al. 2019,
arXiv:1907.05242; Berges et al. 2024, arXiv:2412.09764, have it beside dense layers of language
models). All heads share the values, which begin at 0: the model begins as it was.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from memos.benchmarks.parametric.forms.base import Form
from memos.types import Recipe

HEADS = 4
HALF = 32
"""Numbers of half a query."""
NEAREST = 16


class ProductKeys(Form):
    """At the layer `at`, of at most `room` numbers."""

    def __init__(self, module: Any, recipe: Recipe, *, at: int, room: int, steps: int) -> None:
        width = int(module.config.get_text_config(decoder=True).hidden_size)
        self.count = keys_for(room, width)
        chance = torch.Generator().manual_seed(recipe.seed)

        def drawn(*shape: int, size: float) -> Tensor:
            weight = size * torch.randn(*shape, generator=chance)
            return weight.to(module.device).requires_grad_()

        self._query = drawn(HEADS * 2 * HALF, width, size=1 / math.sqrt(width))
        self._keys = drawn(HEADS, 2, self.count, HALF, size=1 / math.sqrt(HALF))
        self._values = torch.zeros(self.count**2, width, device=module.device, requires_grad=True)
        weights = [self._query, self._keys, self._values]
        super().__init__(module, recipe, weights, steps=steps, first=at)
        module.get_decoder().layers[at].mlp.register_forward_hook(self._added)

    def _added(self, _: Any, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + self.read(given[0]).to(output.dtype) if self.works else output

    def read(self, given: Tensor) -> Tensor:
        """(…, width) of what stands for an input (…, width)."""
        flat = given.reshape(-1, given.shape[-1]).float()
        queries = layer_norm((flat @ self._query.T).view(-1, HEADS, 2, HALF), (HALF,))
        near = min(NEAREST, self.count)
        halves = torch.einsum("thsd,hsnd->thsn", queries, self._keys).topk(near, dim=-1)
        sums = halves.values[:, :, 0, :, None] + halves.values[:, :, 1, None, :]
        places = halves.indices[:, :, 0, :, None] * self.count + halves.indices[:, :, 1, None, :]
        best = sums.flatten(2).topk(near, dim=-1)
        slots = places.flatten(2).gather(-1, best.indices).flatten(1)
        shares = best.values.softmax(-1).flatten(1)
        # One row of values after another: all at once is (tokens, heads · k, width).
        found = torch.nn.functional.embedding_bag(
            slots, self._values, per_sample_weights=shares, mode="sum"
        )
        return found.view(given.shape)


def keys_for(room: int, width: int) -> int:
    """Keys of a set, so that all is at most `room` numbers."""
    count = int(math.sqrt(room / width))
    while count > 1 and _numbers(count, width) > room:
        count -= 1
    return count


def _numbers(count: int, width: int) -> int:
    return count**2 * width + HEADS * 2 * HALF * (width + count)
