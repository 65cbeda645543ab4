"""KVMerger: Wang et al. 2024, https://arxiv.org/abs/2407.08454."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.kvcache.compression.base import Scored
from memos.kvcache.compression.h2o import attention_sums
from memos.kvcache.compression.selection import LayerScore, Selected

if TYPE_CHECKING:
    import torch

    from memos.kvcache.compression.view import LayerView


@dataclass(frozen=True)
class KVMerger(Scored):
    """Neighbours with similar keys become one row, by weights that fall off from a pivot.

    The most similar neighbours (cosine) are joined until as many runs are left as rows shall be.
    The pivot p of a run is its row with the most attention; row i of it weighs
    exp(-‖k_p - k_i‖²/2σ²), for key and value, and the merged row stands at the pivot's position.
    The paper joins by a threshold; joining by rank gives an exact budget instead. σ is the mean
    distance to the pivot over √2. The first `sinks` and last `recent` rows are joined last.
    """

    name = "kvmerger"

    sinks: int = 4
    recent: int = 32

    def score(self, view: LayerView) -> torch.Tensor:
        return view.per_kv_head(attention_sums(view))

    def select(
        self, layer: LayerScore, keys: torch.Tensor, values: torch.Tensor, keep: int
    ) -> Selected:
        run = self._runs(keys.float(), keep)
        pivot = _best_of_run(layer.scores, run, keep)
        weights = _weights(keys.float(), run, pivot)
        return Selected(pivot, mixed(keys, weights, run, keep), mixed(values, weights, run, keep))

    def _runs(self, keys: torch.Tensor, keep: int) -> torch.Tensor:
        """(kv_heads, n): which of the `keep` runs a row is in, ascending."""
        import torch
        from torch.nn import functional

        rows = keys.shape[1]
        likeness = functional.cosine_similarity(keys[:, 1:], keys[:, :-1], dim=-1)
        at = torch.arange(rows - 1, device=keys.device)
        likeness = likeness - 4.0 * ((at < self.sinks) | (at >= rows - 1 - self.recent))
        starts = torch.ones(keys.shape[0], rows, dtype=torch.long, device=keys.device)
        starts.scatter_(1, likeness.topk(rows - keep, dim=-1).indices + 1, 0)
        return starts.cumsum(1) - 1


def _best_of_run(scores: torch.Tensor, run: torch.Tensor, keep: int) -> torch.Tensor:
    """(kv_heads, keep): the index of the row with the highest score in each run."""
    order = scores.argsort(dim=-1)  # the best come last, and the last written stays
    rank = order.argsort(dim=-1)
    best = rank.new_zeros(rank.shape[0], keep).scatter_reduce_(
        1, run, rank, "amax", include_self=False
    )
    return order.gather(1, best)


def _weights(keys: torch.Tensor, run: torch.Tensor, pivot: torch.Tensor) -> torch.Tensor:
    """(kv_heads, n): what each row weighs in its run; these sum to 1 in each run."""
    import torch

    index = pivot.gather(1, run)
    pivots = keys.gather(1, index[..., None].expand_as(keys))
    distance: torch.Tensor = torch.linalg.vector_norm(keys - pivots, dim=-1)
    zeros = distance.new_zeros(pivot.shape)
    others = zeros.scatter_add(1, run, (distance > 0).to(distance.dtype)).clamp(min=1)
    sigma = zeros.scatter_add(1, run, distance) / others / 2**0.5
    spread = sigma.clamp(min=1e-6).gather(1, run)
    weight = (-(distance**2) / (2 * spread**2)).exp()
    return weight / zeros.scatter_add(1, run, weight).gather(1, run)


def mixed(rows: torch.Tensor, weights: torch.Tensor, run: torch.Tensor, keep: int) -> torch.Tensor:
    """(kv_heads, keep, dim): the weighted sum of each run, in the dtype of the rows."""
    weighted = rows.float() * weights[..., None]
    sums = weighted.new_zeros(rows.shape[0], keep, rows.shape[2])
    return sums.scatter_add_(1, run[..., None].expand_as(weighted), weighted).to(rows.dtype)
