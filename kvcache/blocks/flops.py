"""What computing a run of tokens costs: forward FLOPs = n·2·P + attention over what precedes.

Attention takes 4·heads·dim FLOPs for each pair of tokens in each layer (scores and their use).
Where the number of weights is not given it is estimated as 12·layers·width² (Kaplan et al. 2020,
https://arxiv.org/abs/2001.08361), width taken as 3 times that of the keys, as in models of grouped
queries. Good enough to rank blocks; load or recompute is decided on measured times.
"""

from __future__ import annotations

from memos.kvcache.layout import CacheLayout

QUERY_GROUPS = 3


def forward_flops(
    layout: CacheLayout, start: int, end: int, *, parameters: int | None = None
) -> float:
    """FLOPs to compute the tokens [start, end) after the cache of those before."""
    tokens = end - start
    widths = [QUERY_GROUPS * layer.kv_heads * layer.head_dim for layer in layout.layers]
    weights = parameters or sum(12 * width * width for width in widths)
    pairs = tokens * (start + end) / 2
    return 2.0 * weights * tokens + 4.0 * sum(widths) * pairs
