"""H2O: Zhang et al. 2023, https://arxiv.org/abs/2306.14048."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.kvcache.compression.base import Scored

if TYPE_CHECKING:
    import torch

    from memos.kvcache.compression.view import LayerView

LINES = 256
"""Observers whose attention is computed at once: bounds memory."""


@dataclass(frozen=True)
class H2O(Scored):
    """The mean attention that a row gets from all tokens that see it: heavy hitters are kept.

    s_i = Σ_{q ≥ i} a_{q,i} / (n - i), averaged over the query heads of a group. The division keeps
    the first rows from winning just because most tokens come after them.
    """

    name = "h2o"

    def score(self, view: LayerView) -> torch.Tensor:
        import torch

        total = attention_sums(view)
        seen_by = torch.arange(view.rows, 0, -1, device=total.device)
        return view.per_kv_head(total / seen_by)


def attention_sums(view: LayerView) -> torch.Tensor:
    """(heads, n): the attention that each row gets from all observers together."""
    sums = [part.sum(dim=1) for part in view.attention_parts(LINES)]
    return sum(sums[1:], sums[0])
