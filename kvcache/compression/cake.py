"""CAKE: Qin et al. 2025, https://arxiv.org/abs/2503.12491."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.kvcache.compression.base import Scored
from memos.kvcache.compression.kvzip import spread
from memos.kvcache.compression.selection import LayerScore
from memos.kvcache.compression.snapkv import candidates, finished, pooled

if TYPE_CHECKING:
    import torch

    from memos.kvcache.compression.view import LayerView


@dataclass(frozen=True)
class CAKE(Scored):
    """Rows that get much attention or whose attention changes; more of them where it is spread.

    Over the last `window` tokens, s_i = pool(mean a_i + gamma · var a_i). A layer's share of the
    budget is in proportion to H^(1/tau1) · V^(1/tau2), with H the entropy of its attention and V
    its variance over the window, summed over rows and heads.
    """

    name = "cake"
    guided = True

    window: int = 32
    pool: int = 5
    gamma: float = 200.0
    tau1: float = 1.0
    tau2: float = 1.0

    def score(self, view: LayerView) -> torch.Tensor:
        window = view.observers(self.window)
        attention = candidates(view, view.attention(window), window)
        scores = attention.mean(dim=1) + self.gamma * attention.var(dim=1, correction=0)
        return finished(view, pooled(scores, self.pool), window)

    def preference(self, view: LayerView) -> float:
        window = view.observers(self.window)
        attention = candidates(view, view.attention(window), window)
        entropy = -(attention * (attention + 1e-10).log()).sum()
        variance = attention.var(dim=1, correction=0).sum()
        return float(entropy ** (1 / self.tau1) * variance ** (1 / self.tau2))

    def budgets(self, keep: int, rows: int, scores: Sequence[LayerScore]) -> list[int]:
        least = min(keep, self.window)
        return spread([layer.preference for layer in scores], keep, rows, least=least)
