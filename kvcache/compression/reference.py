"""What any policy must beat: rows chosen by chance, or by age alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.kvcache.compression.base import Scored
from memos.kvcache.compression.selection import protected

if TYPE_CHECKING:
    import torch

    from memos.kvcache.compression.view import LayerView


@dataclass(frozen=True)
class Random(Scored):
    """Rows by chance, other ones in each head; the same for the same seed and layer."""

    name = "random"
    from_rows = True

    seed: int = 0

    def score(self, view: LayerView) -> torch.Tensor:
        import torch

        chance = torch.Generator().manual_seed(self.seed * 100_003 + view.index)
        return torch.rand(view.heads, view.rows, generator=chance).to(view.keys.device)


@dataclass(frozen=True)
class Recent(Scored):
    """The newest rows, after `sinks` of the first: StreamingLLM, Xiao et al. 2023,
    https://arxiv.org/abs/2309.17453, with the rows at their original positions.

    s_i = i; the first rows are kept since much attention falls on them whatever they say.
    """

    name = "recent"
    from_rows = True

    sinks: int = 4

    def score(self, view: LayerView) -> torch.Tensor:
        import torch

        age = torch.arange(view.rows, dtype=torch.float32, device=view.keys.device)
        return protected(age.expand(view.heads, -1), first=min(self.sinks, view.rows))
