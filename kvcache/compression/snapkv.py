"""SnapKV: Li et al. 2024, https://arxiv.org/abs/2404.14469."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.kvcache.compression.base import Scored
from memos.kvcache.compression.selection import protected

if TYPE_CHECKING:
    import torch

    from memos.kvcache.compression.view import LayerView


@dataclass(frozen=True)
class SnapKV(Scored):
    """The mean attention from the last `window` tokens, smoothed over `pool` neighbours.

    s_i = pool(mean_{q in window} a_{q,i}), averaged over the query heads of a group. The window is
    the end of the prompt; without a prompt it is the end of the text, which then stays itself.
    """

    name = "snapkv"
    guided = True

    window: int = 64
    pool: int = 5

    def score(self, view: LayerView) -> torch.Tensor:
        window = view.observers(self.window)
        attention = view.attention(window).mean(dim=1)
        return finished(view, pooled(candidates(view, attention, window), self.pool), window)


def candidates(view: LayerView, attention: torch.Tensor, window: int) -> torch.Tensor:
    """Without the last `window` rows (last dimension) if they are the observers themselves."""
    return attention[..., : view.rows - window] if view.own else attention


def pooled(scores: torch.Tensor, size: int) -> torch.Tensor:
    """The mean over `size` neighbours (odd), 0 beyond the ends: a row drags its context along."""
    from torch.nn import functional

    return functional.avg_pool1d(scores[None], size, stride=1, padding=size // 2)[0]


def finished(view: LayerView, scores: torch.Tensor, window: int) -> torch.Tensor:
    """Scores of query heads to those of kv heads, with a window that observes itself kept."""
    from torch.nn import functional

    scores = view.per_kv_head(scores)
    if not view.own:
        return scores
    return protected(functional.pad(scores, (0, window)), last=window)
