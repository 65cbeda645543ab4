"""FINCH: Corallo and Papotti 2024, https://doi.org/10.1162/tacl_a_00716."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memos.kvcache.compression.base import Scored
from memos.kvcache.compression.snapkv import candidates, finished

if TYPE_CHECKING:
    import torch

    from memos.kvcache.compression.view import LayerView


@dataclass(frozen=True)
class Finch(Scored):
    """The attention from the prompt, each token's weighed by how many rows it sees.

    s_i = mean_{q in prompt} a_{q,i} · q: a token that sees more spreads its attention thinner. The
    prompt should be the question; without one the last `window` tokens of the text stand for it.
    The paper goes through long texts in chunks; here the text is compressed at once.
    """

    name = "finch"
    guided = True

    window: int = 32

    def score(self, view: LayerView) -> torch.Tensor:
        import torch

        window = view.observers(self.window if view.own else view.queries.shape[1])
        attention = candidates(view, view.attention(window), window)
        end = view.rows if view.own else view.rows + window
        seen = torch.arange(end - window, end, device=attention.device)
        return finished(view, (attention * seen[None, :, None]).mean(dim=1), window)
