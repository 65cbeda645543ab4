"""PyramidKV: Cai et al. 2024, https://arxiv.org/abs/2406.02069."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memos.kvcache.compression.selection import LayerScore
from memos.kvcache.compression.snapkv import SnapKV


@dataclass(frozen=True)
class PyramidKV(SnapKV):
    """SnapKV with more rows in low layers, where attention is spread, and fewer in high ones.

    With b the mean budget, the last layer gets b / beta and the first 2b minus that, in even steps.
    No layer gets more than the text has beside the window; where the last would get fewer than
    the window, all get the same.
    """

    name = "pyramidkv"

    beta: int = 20

    def budgets(self, keep: int, rows: int, scores: Sequence[LayerScore]) -> list[int]:
        least, most = keep / self.beta, 2 * keep - keep / self.beta
        if most > rows - self.window:
            most = rows - self.window
            least = 2 * keep - most
        if not rows >= most >= least >= self.window or len(scores) < 2:
            return [keep] * len(scores)
        step = (most - least) / (len(scores) - 1)
        return [round(most - index * step) for index in range(len(scores))]
