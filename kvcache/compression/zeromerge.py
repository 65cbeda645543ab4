"""ZeroMerge: Liu et al. 2025, https://arxiv.org/abs/2503.10714."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.kvcache.compression.base import Scored
from memos.kvcache.compression.kvmerger import mixed
from memos.kvcache.compression.selection import LayerScore, Selected, protected, taken, top

if TYPE_CHECKING:
    import torch

    from memos.kvcache.compression.view import LayerView

LINES = 256
"""Observers whose attention is computed at once: bounds memory."""


@dataclass(frozen=True)
class ZeroMerge(Scored):
    """Rows that are not kept become a few averages, and attention knows how many each stands for.

    s_i = Σ_q decay^(n-1-q) a_{q,i}. The newest rows (`tail` of the budget) and the best stay; the
    rest, in order, is cut into as many equal groups as `residual` of the budget, and each becomes
    its mean, at the position of its last row. Its logits get log(size): what the group would draw
    if its rows were all alike.
    """

    name = "zeromerge"

    decay: float = 0.98
    tail: float = 0.1
    residual: float = 0.1

    def score(self, view: LayerView) -> torch.Tensor:
        import torch

        total = torch.zeros(1, device=view.keys.device)
        done = 0
        for part in view.attention_parts(LINES):
            age = view.rows - 1 - torch.arange(done, done + part.shape[1], device=part.device)
            total = total + (part * (self.decay**age)[None, :, None]).sum(dim=1)
            done += part.shape[1]
        return view.per_kv_head(total)

    def select(
        self, layer: LayerScore, keys: torch.Tensor, values: torch.Tensor, keep: int
    ) -> Selected:
        import torch

        rows = keys.shape[1]
        groups = min(max(1, int(self.residual * keep)), keep - 1, rows - keep)
        newest = min(max(1, int(self.tail * keep)), keep - groups)
        best = top(protected(layer.scores, last=newest), keep - groups)
        if not groups:
            return Selected(best, taken(keys, best), taken(values, best))
        rest = _others(best, rows)
        run = torch.arange(rest.shape[1], device=keys.device) * groups // rest.shape[1]
        run = run.expand_as(rest)
        sizes = torch.zeros(rest.shape[0], groups, device=keys.device)
        sizes = sizes.scatter_add_(1, run, torch.ones_like(run, dtype=sizes.dtype))
        even = 1 / sizes.gather(1, run)
        ends = rest.new_zeros(sizes.shape).scatter_reduce_(1, run, rest, "amax")
        index, order = torch.cat([best, ends], dim=1).sort(dim=1)
        merged = [
            taken(
                torch.cat([taken(part, best), mixed(taken(part, rest), even, run, groups)], 1),
                order,
            )
            for part in (keys, values)
        ]
        bias = torch.cat([torch.zeros_like(best, dtype=sizes.dtype), sizes.log()], 1)
        return Selected(index, merged[0], merged[1], bias=bias.gather(1, order))


def _others(index: torch.Tensor, rows: int) -> torch.Tensor:
    """(kv_heads, rows - kept): the indices that are not in `index`, ascending."""
    import torch

    left = torch.ones(index.shape[0], rows, dtype=torch.bool, device=index.device)
    left.scatter_(1, index, False)
    return left.nonzero()[:, 1].view(index.shape[0], -1)
