"""Codecs of integers: a grid for keys, a grid for values. The files beside this choose them."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from memos.kvcache.codecs.base import RAW, Codec, Parts, Role
from memos.kvcache.codecs.integers import Grid


class Quantised(Codec):
    """What float16 can't hold, infinities for instance, is stored as it is."""

    keys: ClassVar[Grid]
    values: ClassVar[Grid]

    def pack(self, role: Role, tensor: Tensor) -> Parts:
        return self._grid(role).pack(tensor) or {RAW: tensor}

    def unpack(self, role: Role, parts: Parts, rows: int, dim: int, dtype: torch.dtype) -> Tensor:
        grid = self._grid(role)
        return grid.unpack(parts["data"], parts["step"], parts["low"], rows, dim, dtype)

    def _grid(self, role: Role) -> Grid:
        return self.keys if role == "keys" else self.values
