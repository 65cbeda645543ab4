"""Key norm: Devoto et al. 2024, https://arxiv.org/abs/2406.11430."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.kvcache.compression.base import Scored

if TYPE_CHECKING:
    import torch

    from memos.kvcache.compression.view import LayerView


@dataclass(frozen=True)
class KeyNorm(Scored):
    """s_i = -‖k_i‖: keys of small norm draw much attention in the models that were studied."""

    name = "key-norm"
    from_rows = True

    def score(self, view: LayerView) -> torch.Tensor:
        import torch

        norm: torch.Tensor = torch.linalg.vector_norm(view.keys.float(), dim=-1)
        return -norm
