"""Numbers as small integers in groups: x ≈ low + step · q with q in 0 … 2^bits - 1.

Asymmetric round-to-nearest with one step and one low per group, both float16; the axis along which
a group runs is the caller's: KIVI (Liu et al. 2024, https://arxiv.org/abs/2402.02750) takes keys
per channel, groups along the tokens, since a few channels of keys are large throughout, and values
per token. A group that is not full is filled with its last element for the calculation only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TOKENS = 1
CHANNELS = 2
"""Axes of (kv_heads, tokens, channels)."""

LARGEST = 65504.0
"""Of float16: what is larger, or no number, can't be coded."""


@dataclass(frozen=True, slots=True)
class Grid:
    """`bits` is 8, 5, 4 or 2; `group` elements along `axis` share a step."""

    bits: int
    group: int
    axis: int

    def pack(self, tensor: Tensor) -> dict[str, Tensor] | None:
        """(kv_heads, n, dim) as `data` uint8 (kv_heads, n, bytes), `step` and `low` float16; None
        if it holds what float16 can't."""
        if not tensor.numel() or not bool(tensor.abs().amax() <= LARGEST):
            return None
        groups = self._groups(tensor.float())
        low = groups.amin(self.axis + 1).half()
        high = groups.amax(self.axis + 1)
        step = ((high - low.float()) / self._top).half()
        if not bool(torch.isfinite(step).all()):
            return None
        data = self._rounded(groups, step, low)[:, : tensor.shape[1], : tensor.shape[2]]
        return {"data": joined(data, self.bits), "step": step, "low": low}

    def unpack(
        self, data: Tensor, step: Tensor, low: Tensor, rows: int, dim: int, dtype: torch.dtype
    ) -> Tensor:
        """The first `rows` rows of what was packed, (kv_heads, rows, dim)."""
        needed = -(-rows // self.group) if self.axis == TOKENS else rows
        codes = self._groups(split(data[:, :rows], self.bits, dim).float())
        wide = torch.addcmul(
            low[:, :needed].float().unsqueeze(self.axis + 1),
            codes,
            step[:, :needed].float().unsqueeze(self.axis + 1),
        )
        return wide.flatten(self.axis, self.axis + 1)[:, :rows, :dim].to(dtype)

    @property
    def _top(self) -> int:
        return int(2**self.bits) - 1

    def _groups(self, tensor: Tensor) -> Tensor:
        """The axis cut into (groups, group), the last group filled up."""
        missing = -tensor.shape[self.axis] % self.group
        if missing:
            last = tensor.narrow(self.axis, tensor.shape[self.axis] - 1, 1)
            tensor = torch.cat([tensor, *[last] * missing], dim=self.axis)
        shape = list(tensor.shape)
        shape[self.axis : self.axis + 1] = [-1, self.group]
        return tensor.reshape(shape)

    def _rounded(self, groups: Tensor, step: Tensor, low: Tensor) -> Tensor:
        wide = step.float().unsqueeze(self.axis + 1)
        # Where all are equal the step is 0 and every code gives `low`.
        codes = (groups - low.float().unsqueeze(self.axis + 1)) / wide.clamp_min(1e-12)
        codes = codes.round_().clamp_(0, self._top).to(torch.uint8)
        return codes.flatten(self.axis, self.axis + 1)


def joined(codes: Tensor, bits: int) -> Tensor:
    """Codes (…, n) as bytes (…, ceil(n · bits / 8)): a byte takes one code of each part of n.
    5 bits lie as 4 and then 1."""
    if bits == 5:
        return torch.cat([joined(codes & 15, 4), joined(codes >> 4, 1)], dim=-1)
    parts = 8 // bits
    if parts == 1:
        return codes
    codes = F.pad(codes, (0, -codes.shape[-1] % parts))
    first, *others = codes.chunk(parts, dim=-1)
    whole = first.clone()
    for at, part in enumerate(others, 1):
        whole |= part << (at * bits)
    return whole


def split(data: Tensor, bits: int, size: int) -> Tensor:
    """The reverse of `joined`: bytes as codes (…, size)."""
    if bits == 5:
        lower = -(-size // 2)
        return split(data[..., :lower], 4, size) | (split(data[..., lower:], 1, size) << 4)
    parts = 8 // bits
    if parts == 1:
        return data
    mask = int(2**bits) - 1
    return torch.cat([(data >> (at * bits)) & mask for at in range(parts)], dim=-1)[..., :size]
