"""What a policy sees of one layer: the rows of a text, and the queries that look at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from memos.kvcache.attention.modules import query_projection, rotation_at

if TYPE_CHECKING:
    import torch


class LayerView:
    """One full-attention layer while the model runs.

    `keys` (kv_heads, n, dim) are rotated to their positions, `values` (kv_heads, n, dim). The
    observers are the tokens whose queries are at hand: those of the text itself (`own`), or those
    of a prompt that follows it. `module` is the attention
    of layer `index`.
    """

    def __init__(
        self,
        model: Any,
        module: Any,
        index: int,
        *,
        hidden: torch.Tensor | None,
        rotary: tuple[torch.Tensor, torch.Tensor] | None,
        keys: torch.Tensor,
        values: torch.Tensor,
        length: int,
    ) -> None:
        """`hidden` (m, width) are the observers' inputs, `rotary` their cos and sin (m, dim), None
        where only rows are at hand; `keys` and `values` have `length` rows of the text, and the
        observers' own after them."""
        self._model = model
        self.module = module
        self.index = index
        self.own = keys.shape[1] == length
        self.keys = keys[:, :length]
        self.values = values[:, :length]
        self._all_keys = keys
        self._hidden = hidden
        self._rotary = rotary

    @property
    def rows(self) -> int:
        """n, the tokens of the text."""
        return int(self.keys.shape[1])

    @property
    def heads(self) -> int:
        """kv heads."""
        return int(self.keys.shape[0])

    @cached_property
    def raw_queries(self) -> torch.Tensor:
        """(heads, m, dim) of the observers before their rotation."""
        assert self._hidden is not None, "a policy that is from_rows asked for queries"
        module = self.module
        flat = query_projection(module, self._hidden)
        norm = getattr(module, "q_norm", None)
        if norm is not None and norm.weight.shape[-1] == flat.shape[-1]:
            flat = norm(flat)  # some models normalise all heads at once
        queries = flat.view(flat.shape[0], -1, module.head_dim).transpose(0, 1)
        if norm is not None and norm.weight.shape[-1] == module.head_dim:
            queries = norm(queries)
        return queries

    @cached_property
    def queries(self) -> torch.Tensor:
        """(heads, m, dim) of the observers, rotated to their positions."""
        assert self._rotary is not None
        return rotated(self.raw_queries, *self._rotary)

    def observers(self, last: int) -> int:
        """How many observers a policy that wants `last` of them gets, so that a text that
        observes itself has at least one row that is no observer."""
        return min(last, self.queries.shape[1] - (1 if self.own else 0))

    def attention(self, last: int) -> torch.Tensor:
        """(heads, last, n) float32: how the last observers spread their attention over the rows of
        the text. Each sees what is before it and itself; observers after the text take a part of
        the whole, so that these may sum to less than 1."""
        ends = self.queries.shape[1]
        return self._attention(ends - last, ends)

    def attention_parts(self, lines: int) -> Iterator[torch.Tensor]:
        """`attention` of all observers, first to last, `lines` at a time: bounds memory."""
        ends = self.queries.shape[1]
        for begin in range(0, ends, lines):
            yield self._attention(begin, min(begin + lines, ends))

    def _attention(self, begin: int, end: int) -> torch.Tensor:
        import torch

        total, observers = self._all_keys.shape[1], self.queries.shape[1]
        keys = self.grouped(self._all_keys).float()
        scaling: float = self.module.scaling
        logits = self.queries[:, begin:end].float() @ keys.transpose(1, 2) * scaling
        cap = getattr(self.module, "attn_logit_softcapping", None)
        if cap:
            logits = torch.tanh(logits / cap) * cap
        at = torch.arange(begin, end, device=keys.device) + total - observers
        later = torch.arange(total, device=keys.device)[None] > at[:, None]
        return logits.masked_fill(later, float("-inf")).softmax(-1)[..., : self.rows]

    def rotation(self, positions: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """cos and sin (len(positions), turned dimensions) in float32 that the model has there."""
        return rotation_at(self._model, self.index, positions)

    def grouped(self, rows: torch.Tensor) -> torch.Tensor:
        """(kv_heads, …) repeated to (heads, …)."""
        groups: int = self.module.num_key_value_groups
        return rows.repeat_interleave(groups, dim=0)

    def per_kv_head(self, scores: torch.Tensor) -> torch.Tensor:
        """(heads, …) averaged to (kv_heads, …) over the query heads that share one."""
        return scores.reshape(self.heads, -1, *scores.shape[1:]).mean(1)


def rotated(states: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """(heads, m, dim) turned by cos and sin (m, turned); dimensions beyond `turned` stay."""
    import torch

    turned = cos.shape[-1]
    inner, rest = states[..., :turned], states[..., turned:]
    first, second = inner.chunk(2, dim=-1)
    moved = inner * cos + torch.cat([-second, first], dim=-1) * sin
    return torch.cat([moved, rest], dim=-1)
