"""What a layer learns is kept apart from what the layer is given otherwise.

Of each layer that learns, the directions are found in which nearly all of its input lies when the
model reads neutral text. The weights that read the input (A) are kept free of them, so whatever is
learnt answers to what is left: new names have much of it, neutral text little. (Gradient projection
memory, Saha et al. 2021, arXiv:2103.09762, does so from task to task.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_LEFT = 16
"""Directions that are left free at least, or nothing could be learnt."""


class Inputs:
    """The second moments of what layers are given while `heard`; each token counts once, however
    large it is. Layers with one input share it."""

    def __init__(self, layers: Mapping[str, Any]) -> None:
        self._layers = layers
        self._moments: dict[str, Tensor] = {}
        self._same: dict[str, str] = {}
        self._last: tuple[str, Tensor] | None = None

    @contextmanager
    def heard(self) -> Iterator[None]:
        handles = [
            layer.register_forward_pre_hook(lambda _, given, name=name: self._hear(name, given[0]))
            for name, layer in self._layers.items()
        ]
        try:
            yield
        finally:
            self._last = None
            for handle in handles:
                handle.remove()

    def directions(self, share: float) -> dict[str, Tensor]:
        """By layer (in, k), orthonormal: the fewest that hold so much of the input's energy."""
        found = {name: _most(moment, share) for name, moment in self._moments.items()}
        return {name: found[self._same[name]] for name in self._layers if name in self._same}

    def _hear(self, name: str, given: Tensor) -> None:
        if self._last is not None and self._last[1] is given:
            self._same[name] = self._last[0]
            return
        self._last, self._same[name] = (name, given), name
        flat = given.detach().reshape(-1, given.shape[-1]).float()
        unit = torch.nn.functional.normalize(flat, dim=-1)
        moment = unit.T @ unit
        known = self._moments.get(name)
        self._moments[name] = moment if known is None else known.add_(moment)


def _most(moment: Tensor, share: float) -> Tensor:
    values, vectors = torch.linalg.eigh(moment)
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    reached = values.cumsum(0) / values.sum().clamp_min(1e-30)
    count = int((reached < share).sum()) + 1
    most: Tensor = vectors[:, : min(count, len(values) - _LEFT)].contiguous()
    return most


@dataclass(frozen=True, eq=False)
class Apart:
    """`a` (rank, in) whose part in `directions` (in, k) is kept at `part` (rank, k), None for 0."""

    a: Tensor
    directions: Tensor
    part: Tensor | None = None

    def restore(self) -> None:
        """Takes back, in place, what a step has changed of it."""
        now = self.a @ self.directions
        self.a.sub_((now if self.part is None else now - self.part) @ self.directions.T)
