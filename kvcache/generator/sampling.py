"""Choosing one token from logits: the likeliest, or drawn with a seed of the request's own.

It draws by inverting the cumulative distribution in the order of the vocabulary, so that rounding
that differs with the batch moves a boundary by about 1e-6 and hardly ever another token in.
"""

from __future__ import annotations

import os
import random

import torch
from torch import Tensor

from memos.kvcache.generator.request import Options


class Sampler:
    """Chooses the tokens of one request, in order."""

    def __init__(self, options: Options) -> None:
        self._options = options
        seed = int.from_bytes(os.urandom(8), "big") if options.seed is None else options.seed
        self._random = random.Random(seed)

    @property
    def greedy(self) -> bool:
        return self._options.temperature == 0

    def pick(self, logits: Tensor) -> int:
        """A token id from (vocabulary,) logits."""
        if self.greedy:
            return int(logits.argmax())
        # Relative to the greatest: divided by next to nothing it would be infinite, and NaN.
        below = logits.double() - logits.max()
        chances = torch.softmax(below / self._options.temperature, dim=-1)
        chances = self._cut(chances)
        total = chances.cumsum(-1)
        point = torch.tensor(
            self._random.random() * float(total[-1]), dtype=total.dtype, device=total.device
        )
        # The first id whose cumulated chance exceeds the point has a chance above 0.
        return min(int(torch.searchsorted(total, point, right=True)), len(total) - 1)

    def _cut(self, chances: Tensor) -> Tensor:
        options = self._options
        if options.top_k and options.top_k < len(chances):
            least = chances.topk(options.top_k).values[-1]
            chances = torch.where(chances >= least, chances, 0.0)
            chances = chances / chances.sum()
        if options.top_p < 1:
            ordered = chances.sort(descending=True).values
            before = ordered.cumsum(-1) - ordered
            least = ordered[before < options.top_p][-1]
            chances = torch.where(chances >= least, chances, 0.0)
        return chances
