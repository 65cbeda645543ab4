"""Attention over keys that lie in several places: shared prefixes and each row's own tokens.

Each place is attended to by itself and the results are merged by their log-sum-exp, which is exact
up to rounding (Milakov & Gimelshein 2018; FlashDecoding; ChunkAttention, arXiv 2402.15220). So a
stored prefix is read where it lies, for any number of rows at once, and not copied into a cache;
but for one row on a device a short prefix is put before the row's own tokens in one buffer.
Grouped queries are folded into the query length, so keys are not repeated per head either.

It does not know where the keys come from; `memos.kvcache.generator.rows` hands them over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from memos.kvcache.generator import fused

if TYPE_CHECKING:
    from memos.kvcache.generator.rows import RowsLayer

NAME = "memos_rows"
"""The attention implementation as transformers knows it; the same as sdpa for ordinary caches."""

_FOLDED = 64
"""Queries up to which a mask is repeated per group rather than the keys."""
_SCORES = 1 << 26
"""Scores that are held at once where no fused kernel is used: 256 MB."""


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """transformers' attention interface: (batch, heads, n, dim) queries to (batch, n, heads, dim).

    Keys from a RowsLayer name it by an attribute; all others go to transformers' own sdpa.
    """
    layer: RowsLayer | None = getattr(key, "rows", None)
    if layer is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    layer.attended = True
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return over_rows(query, key, value, layer, scale).transpose(1, 2), None


def over_rows(query: Tensor, key: Tensor, value: Tensor, layer: RowsLayer, scale: float) -> Tensor:
    """(rows, heads, n, value_dim): attention to the rows' own keys and to shared segments."""
    if not layer.segments and layer.causal:
        return F.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scale, enable_gqa=True
        )
    if layer.before:
        # One row without padding: each token sees all before it, in whatever place.
        return fused.attention(query, *layer.whole(), scale, causal=True)[0]
    out, weight = _own(query, key, value, layer, scale)
    for segment in layer.segments:
        rows = slice(segment.first, segment.last)
        more, more_weight = _shared(query[rows], segment.keys, segment.values, scale)
        out[rows], weight[rows] = _merged(out[rows], weight[rows], more, more_weight)
    return out.to(query.dtype)


def _own(
    query: Tensor, key: Tensor, value: Tensor, layer: RowsLayer, scale: float
) -> tuple[Tensor, Tensor]:
    """Of each row to its own keys: (out float32, log-sum-exp)."""
    rows, heads, n, _ = query.shape
    kv_heads = key.shape[1]
    groups = heads // kv_heads
    if layer.causal and n > 1:
        key, value = (t.repeat_interleave(groups, dim=1) for t in (key, value))
        out, lse = partial(query, key, value, None, scale, causal=True)
        return out.float(), lse
    mask = None if layer.mask is None else layer.mask.to(query.dtype)
    if mask is not None and n > _FOLDED:
        key, value = (t.repeat_interleave(groups, dim=1) for t in (key, value))
        out, lse = partial(query, key, value, mask, scale)
        return out.float(), lse
    mask = None if mask is None else mask.repeat(1, 1, groups, 1)
    folded = query.reshape(rows, kv_heads, groups * n, -1)
    out, lse = partial(folded, key, value, mask, scale)
    return out.reshape(rows, heads, n, -1).float(), lse.reshape(rows, heads, n)


def _shared(query: Tensor, key: Tensor, value: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Of some rows to the one set of keys (kv_heads, tokens, dim) that precedes them all."""
    rows, heads, n, dim = query.shape
    kv_heads = key.shape[0]
    groups = heads // kv_heads
    shape = (rows, kv_heads, groups * n)
    folded = query.reshape(*shape, dim).transpose(0, 1).reshape(1, kv_heads, -1, dim)
    out, lse = partial(folded, key[None], value[None], None, scale)
    out = out.reshape(kv_heads, rows, groups * n, -1).transpose(0, 1)
    lse = lse.reshape(kv_heads, rows, groups * n).transpose(0, 1)
    return out.reshape(rows, heads, n, -1).float(), lse.reshape(rows, heads, n)


def _merged(a: Tensor, a_lse: Tensor, b: Tensor, b_lse: Tensor) -> tuple[Tensor, Tensor]:
    """Two attentions over disjoint keys as one over both."""
    share = torch.sigmoid(b_lse - a_lse)[..., None]
    return torch.lerp(a, b, share), torch.logaddexp(a_lse, b_lse)


def partial(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scale: float,
    *,
    causal: bool = False,
) -> tuple[Tensor, Tensor]:
    """(out, log-sum-exp float32) for as many query as key heads; `mask` is added to the scores.

    Fused kernels where torch has one that tells the log-sum-exp, else plain float32.
    """
    alike = query.shape[-1] == value.shape[-1]
    if query.device.type == "cpu" and alike:
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, causal, attn_mask=mask, scale=scale
        )
        return out, lse.float()
    if mask is None and fused.fused(query, value):
        return fused.attention(query, key, value, scale, causal=causal)
    return _plain(query, key, value, mask, scale, causal=causal)


def _plain(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, *, causal: bool
) -> tuple[Tensor, Tensor]:
    """In float32, some queries at a time."""
    n, columns = query.shape[-2], key.shape[-2]
    if causal:
        late = torch.ones(n, columns, dtype=torch.bool, device=query.device).triu(1)
        mask = torch.zeros_like(late, dtype=torch.float32).masked_fill(late, float("-inf"))
    keys, values = key.float().transpose(-1, -2) * scale, value.float()
    step = max(1, _SCORES // (query.shape[0] * query.shape[1] * columns))
    outs, weights = [], []
    for at in range(0, n, step):
        scores = query[..., at : at + step, :].float() @ keys
        if mask is not None:
            scores = scores + mask[..., at : at + step, :]
        weight = scores.logsumexp(-1)
        outs.append(torch.exp(scores - weight[..., None]) @ values)
        weights.append(weight)
    return torch.cat(outs, dim=-2), torch.cat(weights, dim=-1)


def register() -> None:
    """Makes NAME known to transformers; calling it again changes nothing."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
