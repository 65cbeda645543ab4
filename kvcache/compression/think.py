"""ThinK: Xu et al. 2024, https://arxiv.org/abs/2407.21018."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.kvcache.compression.base import Scored
from memos.kvcache.compression.selection import LayerScore, Selected, top

if TYPE_CHECKING:
    import torch

    from memos.kvcache.compression.view import LayerView


@dataclass(frozen=True)
class ThinK(Scored):
    """Channels of keys that add least to the logits are dropped; all rows stay.

    s_c = mean_{q in window} q_c² · mean_i k_{i,c}², with the query heads of a group averaged. Keys
    lose a share of `ratio` of their channels, so the cache loses half of that. The paper leaves the
    newest keys whole; here all are pruned, so that a layer stays one tensor.
    """

    name = "think"
    guided = True

    window: int = 32

    def score(self, view: LayerView) -> torch.Tensor:
        """(kv_heads, dim): of channels, not of rows."""
        window = min(self.window, view.queries.shape[1])
        queries = view.queries[:, -window:].float().square().mean(dim=1)
        return view.per_kv_head(queries) * view.keys.float().square().mean(dim=1)

    def select(
        self, layer: LayerScore, keys: torch.Tensor, values: torch.Tensor, keep: int
    ) -> Selected:
        import torch

        dim = keys.shape[-1]
        channels = top(layer.scores, max(1, dim - int(dim * (1 - keep / keys.shape[1]) + 1e-9)))
        pruned = keys.gather(2, channels[:, None, :].expand(-1, keys.shape[1], -1))
        index = torch.arange(keys.shape[1], device=keys.device).expand(keys.shape[0], -1)
        return Selected(index, pruned, values, channels=channels)
