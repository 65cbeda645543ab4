"""Codecs of integers: a grid for keys, a grid for values. The files beside this choose them.

The first tokens of a text draw attention whatever they say (attention sinks: Xiao et al. 2023,
https://arxiv.org/abs/2309.17453) and their keys are unlike all others, so a codec can keep them
in 16 bits; they then don't widen the steps of their group either.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from memos.kvcache.codecs.base import RAW, Codec, Parts, Role
from memos.kvcache.codecs.integers import LARGEST, Grid


class Quantised(Codec):
    """What float16 can't hold, infinities for instance, is stored as it is.

    `sinks` is how many tokens at the beginning of a text are kept in 16 bits.
    """

    keys: ClassVar[Grid]
    values: ClassVar[Grid]
    sinks: ClassVar[int] = 0
    stacks: ClassVar[bool] = True

    def pack(self, role: Role, tensor: Tensor, start: int) -> Parts:
        exact = tensor[:, : max(0, self.sinks - start)]
        count = exact.shape[1]
        if count == tensor.shape[1]:
            return {RAW: tensor}
        rest = tensor
        if count:
            following = tensor[:, count : count + 1].expand_as(exact)
            rest = torch.cat([following, tensor[:, count:]], dim=1)
        coded = self._grid(role).pack(rest)
        if coded is None:
            return {RAW: tensor}
        return {**coded, "sinks": _narrow(exact)} if count else coded

    def unpack(self, role: Role, parts: Parts, rows: int, dim: int, dtype: torch.dtype) -> Tensor:
        grid = self._grid(role)
        tensor = grid.unpack(parts["data"], parts["step"], parts["low"], rows, dim, dtype)
        if "sinks" in parts:
            exact = parts["sinks"][:, :rows]
            tensor[:, : exact.shape[1]] = exact
        return tensor

    def _grid(self, role: Role) -> Grid:
        return self.keys if role == "keys" else self.values


def _narrow(exact: Tensor) -> Tensor:
    """float32 as float16, if it fits; what has 16 bits as it is."""
    fits = exact.dtype == torch.float32 and bool(exact.abs().amax() <= LARGEST)
    return exact.half() if fits else exact
