"""Elastic Cache: Liu et al. 2024, https://arxiv.org/abs/2407.18121."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.kvcache.compression.base import Scored
from memos.kvcache.compression.h2o import attention_sums
from memos.kvcache.compression.selection import LayerScore, Selected, protected, top

if TYPE_CHECKING:
    import torch

    from memos.kvcache.compression.view import LayerView


@dataclass(frozen=True)
class Elastic(Scored):
    """Rows that are not kept are merged into the nearest that is.

    s_i = Σ_q a_{q,i} averaged over all heads, so that each head keeps the same rows. Each other row
    joins the bucket of the kept row that is nearest by position, the earlier of two; a kept row
    becomes the mean of its bucket, at its own position. The first `sinks` rows and the last one
    are kept.
    """

    name = "elastic"

    sinks: int = 4

    def score(self, view: LayerView) -> torch.Tensor:
        scores = attention_sums(view).mean(dim=0).expand(view.heads, -1)
        return protected(scores, first=min(self.sinks, view.rows), last=1)

    def select(
        self, layer: LayerScore, keys: torch.Tensor, values: torch.Tensor, keep: int
    ) -> Selected:
        import torch

        index = top(layer.scores, keep)
        rows = torch.arange(keys.shape[1], device=keys.device)
        bucket = (rows[:, None] - index[0][None, :]).abs().argmin(dim=1)
        merged = [_means(part, bucket, keep) for part in (keys, values)]
        return Selected(index, merged[0], merged[1])


def _means(rows: torch.Tensor, bucket: torch.Tensor, keep: int) -> torch.Tensor:
    """(kv_heads, keep, dim): the mean of the rows of each bucket."""
    sums = rows.new_zeros(rows.shape[0], keep, rows.shape[2]).float()
    sums.index_add_(1, bucket, rows.float())
    return (sums / bucket.bincount(minlength=keep)[None, :, None]).to(rows.dtype)
