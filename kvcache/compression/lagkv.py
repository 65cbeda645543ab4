"""LagKV: Liang et al. 2025, https://arxiv.org/abs/2504.04704."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.kvcache.compression.base import Scored
from memos.kvcache.compression.selection import protected

if TYPE_CHECKING:
    import torch

    from memos.kvcache.compression.view import LayerView


@dataclass(frozen=True)
class LagKV(Scored):
    """How much a row varies once it is scaled by the range of the partition that follows.

    The text after `sinks` rows is cut into partitions of `lag` rows. With the least and greatest
    value of each channel in the next partition,
    s = softmax over the partition of std over channels of (x - min) / (max - min), for keys and
    values, averaged; only its rank within the partition counts. The first rows and the last
    partition, which nothing follows, stay, the newest longest if there is no room for all; a text
    of fewer than two partitions loses its oldest.
    """

    name = "lagkv"
    from_rows = True

    lag: int = 128
    sinks: int = 4

    def score(self, view: LayerView) -> torch.Tensor:
        import torch

        parts = (view.rows - self.sinks) // self.lag
        if parts < 2:
            return self._by_age(view)
        end = self.sinks + parts * self.lag
        keys, values = (
            self._variation(
                rows[:, self.sinks : end].float().reshape(view.heads, parts, self.lag, -1)
            )
            for rows in (view.keys, view.values)
        )
        rank = ((keys + values) / 2).argsort(dim=-1).argsort(dim=-1) / self.lag
        scores = torch.zeros(view.heads, view.rows, device=rank.device)
        scores[:, self.sinks : end - self.lag] = rank.flatten(1)
        return protected(scores, first=self.sinks, last=view.rows - end + self.lag)

    def _variation(self, parts: torch.Tensor) -> torch.Tensor:
        """(kv_heads, parts, lag, dim) → (kv_heads, parts - 1, lag)."""
        low = parts[:, 1:].amin(dim=2, keepdim=True)
        high = parts[:, 1:].amax(dim=2, keepdim=True)
        return ((parts[:, :-1] - low) / (high - low)).std(dim=-1).softmax(dim=-1)

    def _by_age(self, view: LayerView) -> torch.Tensor:
        import torch

        age = torch.arange(view.rows, dtype=torch.float32, device=view.keys.device)
        return protected(age.expand(view.heads, -1), first=min(self.sinks, view.rows))
