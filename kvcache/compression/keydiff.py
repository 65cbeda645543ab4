"""KeyDiff: Park et al. 2025, https://arxiv.org/abs/2504.15364."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.kvcache.compression.base import Scored

if TYPE_CHECKING:
    import torch

    from memos.kvcache.compression.view import LayerView


@dataclass(frozen=True)
class KeyDiff(Scored):
    """s_i = -cos(k_i, mean_j k_j / ‖k_j‖): keys unlike the average are kept."""

    name = "keydiff"
    from_rows = True

    def score(self, view: LayerView) -> torch.Tensor:
        from torch.nn import functional

        keys = view.keys.float()
        anchor = functional.normalize(keys, dim=-1).mean(dim=1, keepdim=True)
        return -functional.cosine_similarity(keys, anchor, dim=-1)
