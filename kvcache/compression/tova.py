"""TOVA: Oren et al. 2024, https://arxiv.org/abs/2401.06104."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.kvcache.compression.base import Scored
from memos.kvcache.compression.selection import protected

if TYPE_CHECKING:
    import torch

    from memos.kvcache.compression.view import LayerView


@dataclass(frozen=True)
class TOVA(Scored):
    """The attention from the very last token, averaged over all heads: the same rows in each.

    The last token is the prompt's; without a prompt it is the text's, which stays itself.
    """

    name = "tova"
    guided = True

    def score(self, view: LayerView) -> torch.Tensor:
        attention = view.attention(1)[:, 0].mean(dim=0)
        scores = attention.expand(view.heads, -1)
        return protected(scores, last=1) if view.own else scores
