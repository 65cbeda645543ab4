"""Lookahead Q-Cache: Wang et al. 2025, https://arxiv.org/abs/2505.20334."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memos.kvcache.attention.continuation import Continuation
from memos.kvcache.attention.rows import Held
from memos.kvcache.compression.base import Scored
from memos.kvcache.compression.snapkv import SnapKV, pooled

if TYPE_CHECKING:
    import torch

    from memos.kvcache.compression.view import LayerView


@dataclass(frozen=True)
class LAQ(Scored):
    """The mean attention from tokens that a draft of the answer would have.

    The text is compressed by SnapKV, `steps` tokens are generated from that, and these observe the
    full cache: their queries are nearer to those of the real answer than the prompt's are.
    s_i = pool(mean_{q in draft} a_{q,i}). The paper takes the draft's queries as they were over the
    compressed cache; here they are computed again over the full one.
    """

    name = "laq"
    guided = True

    steps: int = 8
    pool: int = 5

    def probes(
        self,
        model: Any,
        tokens: Sequence[int],
        prompt: Sequence[int],
        ratio: float,
        text: Held | None,
    ) -> list[list[int]]:
        begin, rest = (list(tokens), list(prompt)) if prompt else (tokens[:-1], list(tokens[-1:]))
        if not begin:
            return []
        known = text if prompt else None
        held = SnapKV().compress(model, begin, ratio=ratio, prompt=prompt, text=known)
        draft = Continuation(model, held).generate(rest, self.steps)
        return [[*prompt, *draft]]

    def score(self, view: LayerView) -> torch.Tensor:
        attention = view.attention(view.observers(self.steps)).mean(dim=1)
        return view.per_kv_head(pooled(attention, self.pool))
