"""Expected attention: Devoto et al. 2025, https://arxiv.org/abs/2510.00636."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.kvcache.compression.base import Scored
from memos.kvcache.compression.selection import protected
from memos.kvcache.compression.view import rotated

if TYPE_CHECKING:
    import torch

    from memos.kvcache.compression.view import LayerView


@dataclass(frozen=True)
class ExpectedAttention(Scored):
    """The attention that queries to come are expected to pay, times the norm of the value.

    Queries before their rotation are taken as normal, with the mean μ and covariance Σ of the
    text's own; R is the mean rotation of the next `future` positions. Then
    s_i = softmax_i(k_i·Rμ/√d + k_iᵀRΣRᵀk_i/2d) ‖v_i‖. The first `sinks` rows stay.
    """

    name = "expected-attention"

    future: int = 512
    sinks: int = 4

    def score(self, view: LayerView) -> torch.Tensor:
        import torch

        sinks = min(self.sinks, view.rows - 1)
        queries = view.raw_queries[:, sinks:].float()
        mean = queries.mean(dim=1, keepdim=True)
        spread = (queries - mean).transpose(1, 2) @ (queries - mean) / queries.shape[1]
        turn = self._mean_rotation(view)
        mean, spread = mean @ turn.T, turn @ spread @ turn.T
        keys = view.grouped(view.keys).float()[:, sinks:]
        scale = view.module.scaling
        logits = (keys @ mean.transpose(1, 2)).squeeze(-1) * scale
        logits = logits + ((keys @ spread) * keys).sum(-1) * scale**2 / 2
        expected = view.per_kv_head(logits.softmax(-1))
        scores = view.values.new_zeros(view.heads, view.rows, dtype=expected.dtype)
        scores[:, sinks:] = expected * torch.linalg.vector_norm(
            view.values.float()[:, sinks:], dim=-1
        )
        return protected(scores, first=sinks)

    def _mean_rotation(self, view: LayerView) -> torch.Tensor:
        """(dim, dim): the mean over the positions of the matrix that a query is turned by."""
        import torch

        cos, sin = view.rotation(range(view.rows, view.rows + self.future))
        unit = torch.eye(view.keys.shape[-1], device=cos.device)
        return rotated(unit, cos.mean(0, keepdim=True), sin.mean(0, keepdim=True)).T
