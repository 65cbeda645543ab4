"""Whether torch's fused attention on CUDA takes some keys and values, and the call of it.

It answers with the log-sum-exp, and takes fewer key than query heads. Knows no caches.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def fused(key: Tensor, value: Tensor) -> bool:
    """What the kernel asks of dtype, heads and device."""
    dim = key.shape[-1]
    half = key.dtype in (torch.float16, torch.bfloat16)
    if key.device.type != "cuda" or not half or dim != value.shape[-1]:
        return False
    return dim % 8 == 0 and dim <= 256 and _generation(key.device) >= 8


@lru_cache(maxsize=64)
def _generation(device: torch.device) -> int:
    return torch.cuda.get_device_capability(device)[0]


def attention(
    query: Tensor, key: Tensor, value: Tensor, scale: float, *, causal: bool
) -> tuple[Tensor, Tensor]:
    """(out, log-sum-exp float32). With `causal` the last query sees all keys, the one before it
    all but the last, and so on."""
    out, lse, *_ = torch.ops.aten._scaled_dot_product_flash_attention(
        query, key, value, 0.0, causal, False, scale=scale
    )
    return out, lse.float()
