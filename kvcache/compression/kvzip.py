"""KVzip: Kim et al. 2025, https://arxiv.org/abs/2505.23416."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memos.kvcache.attention.rows import Held
from memos.kvcache.compression.base import Scored
from memos.kvcache.compression.selection import LayerScore

if TYPE_CHECKING:
    import torch

    from memos.kvcache.compression.view import LayerView

LINES = 256
"""Observers whose attention is computed at once: bounds memory."""


@dataclass(frozen=True)
class KVzip(Scored):
    """The most attention that a row gets while the model repeats the text from its cache.

    s_i = max over the query heads of the group and the tokens of the repetition of a_i. The text is
    repeated in parts of `part` tokens, each after `instruction` (tokens that ask for it; the paper
    has "Repeat the previous context:") and the `lead` tokens before the part. Layers share one
    budget: each gets as many rows as it has of the best scores overall, the same in each of its
    heads. Costs one to two more prefills, once.
    """

    name = "kvzip"

    instruction: tuple[int, ...] = ()
    part: int = 2048
    lead: int = 8

    def probes(
        self,
        model: Any,
        tokens: Sequence[int],
        prompt: Sequence[int],
        ratio: float,
        text: Held | None,
    ) -> list[list[int]]:
        return [
            [*self.instruction, *tokens[max(0, begin - self.lead) : begin + self.part]]
            for begin in range(0, len(tokens), self.part)
        ]

    def score(self, view: LayerView) -> torch.Tensor:
        import torch

        best = [
            part.reshape(view.heads, -1, view.rows).amax(dim=1)
            for part in view.attention_parts(LINES)
        ]
        return torch.stack(best).amax(0)

    def budgets(self, keep: int, rows: int, scores: Sequence[LayerScore]) -> list[int]:
        import torch

        per_layer = torch.stack([layer.scores.flatten() for layer in scores])
        best = per_layer.flatten().topk(keep * len(per_layer) * scores[0].scores.shape[0]).indices
        won = torch.bincount(best // per_layer.shape[1], minlength=len(per_layer))
        return spread([int(n) / scores[0].scores.shape[0] for n in won], keep, rows)


def spread(wanted: Sequence[float], keep: int, rows: int, *, least: int = 0) -> list[int]:
    """Whole budgets in [least, rows], `keep` on average: `least` each, the rest as `wanted` is.

    What a layer can't take goes to the others, in proportion again; fractions to the largest
    remainders.
    """
    total = keep * len(wanted)
    found = [float(least)] * len(wanted)
    while (left := total - sum(found)) > 1e-6:
        open_ = [index for index, size in enumerate(found) if size < rows]
        weights = [max(wanted[index], 1e-9) for index in open_]
        for index, weight in zip(open_, weights, strict=True):
            found[index] = min(float(rows), found[index] + left * weight / sum(weights))
    whole = [int(size + 1e-6) for size in found]
    order = sorted(range(len(found)), key=lambda index: whole[index] - found[index])
    for index in order[: total - sum(whole)]:
        whole[index] += 1
    return whole
