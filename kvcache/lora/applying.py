"""Adapters at work in a loaded model, without changing a number of it.

Each layer that an adapter knows gets a hook, which adds what the adapters at work say of its input;
without one at work it returns at once. So to attach, to detach and to swap is to name another set
of weights, the base is never copied or reloaded, and each row of a batch may have its own adapter.
(Punica and S-LoRA, Chen et al. 2023 and Sheng et al. 2023, do this with kernels of their own.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from memos.errors import AdapterMismatch
from memos.kvcache.lora.weights import Weights
from memos.kvcache.tiers.budget import Budget

ON_DEVICE = 1 << 28
"""Bytes of adapters that stay on the device when they are not at work, if nothing else is said."""

Rows = Sequence[Weights | None]
"""The adapter of each row of a batch; one entry is for all rows."""


@dataclass(frozen=True, eq=False)
class Placed:
    """One layer of an adapter, on the device: A, the scaled B, and what DoRA has besides."""

    a: Tensor
    b: Tensor
    more: Tensor | None = None

    @property
    def bytes(self) -> int:
        return sum(t.nbytes for t in (self.a, self.b, self.more) if t is not None)

    def adds(self, given: Tensor, output: Tensor, bias: Tensor | None) -> Tensor:
        """To what the layer made of its input."""
        low = (given @ self.a.T) @ self.b.T
        if self.more is None:
            return low
        plain = output if bias is None else output - bias
        return low + self.more * (plain + low)


class Applying:
    """Of one module, which has its lock: one forward pass at a time."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._layers = {
            name: part for name, part in module.named_modules() if isinstance(part, torch.nn.Linear)
        }
        self._hooked: dict[str, Any] = {}
        self._at_work: list[tuple[Tensor | None, Weights]] = []
        self._placed: OrderedDict[str, dict[str, Placed]] = OrderedDict()
        self._bytes = 0
        self._budget = Budget(2 * ON_DEVICE)

    @property
    def bytes(self) -> int:
        """Of adapters on the device."""
        return self._bytes

    def share(self, budget: Budget) -> None:
        """Of this adapters hold what they need, and at most half when they are not at work."""
        self._budget = budget
        budget.take(self._bytes)

    def check(self, weights: Weights) -> None:
        """AdapterMismatch for layers that the model has not, or not in that shape."""
        for name, (a, b) in weights.layers.items():
            layer = self._layers.get(name)
            if layer is None:
                raise AdapterMismatch(f"the adapter is of a layer {name!r} that the model has not")
            if (layer.out_features, layer.in_features) != (b.shape[0], a.shape[1]):
                raise AdapterMismatch(
                    f"the adapter's layer {name!r} is {b.shape[0]} × {a.shape[1]}, the model's "
                    f"{layer.out_features} × {layer.in_features}"
                )

    @contextmanager
    def at_work(self, rows: Rows) -> Iterator[None]:
        """Within it the module computes with these."""
        before, self._at_work = self._at_work, self._groups(rows)
        try:
            yield
        finally:
            self._at_work = before
            self._let_go()

    def release(self, digest: str) -> None:
        """Gives back what lies on the device of an adapter."""
        placed = self._placed.pop(digest, None)
        if placed is not None:
            self._held(-_size(placed))

    def _let_go(self) -> None:
        """Those used longest ago, but for what is at work."""
        used = {weights.digest for _, weights in self._at_work}
        for digest in [digest for digest in self._placed if digest not in used]:
            if self._bytes <= self._budget.total // 2:
                break
            self.release(digest)

    def _held(self, more: int) -> None:
        self._bytes += more
        self._budget.take(self._bytes)

    def _groups(self, rows: Rows) -> list[tuple[Tensor | None, Weights]]:
        if len(rows) == 1:
            return [(None, rows[0])] if rows[0] is not None and self._ready(rows[0]) else []
        by_digest: dict[str, tuple[Weights, list[int]]] = {}
        for number, weights in enumerate(rows):
            if weights is not None:
                by_digest.setdefault(weights.digest, (weights, []))[1].append(number)
        place = self._module.device
        return [
            (torch.tensor(numbers, device=place), weights)
            for weights, numbers in by_digest.values()
            if self._ready(weights)
        ]

    def _ready(self, weights: Weights) -> bool:
        """On the device and hooked."""
        if weights.digest not in self._placed:
            place, dtype = self._module.device, self._module.dtype
            # The scale once into B rather than into each product.
            self._placed[weights.digest] = {
                name: Placed(
                    a.to(place, dtype),
                    (b * weights.about.scale).to(place, dtype),
                    weights.more[name].to(place, dtype) if name in weights.more else None,
                )
                for name, (a, b) in weights.layers.items()
            }
            self._held(_size(self._placed[weights.digest]))
        self._placed.move_to_end(weights.digest)
        for name in weights.layers:
            if name not in self._hooked:
                layer = self._layers[name]
                self._hooked[name] = layer.register_forward_hook(self._hook(name))
        return True

    def _hook(self, name: str) -> Any:
        bias = self._layers[name].bias

        def added(_: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            if not self._at_work:
                return None
            given = inputs[0]
            for rows, weights in self._at_work:
                placed = self._placed[weights.digest].get(name)
                if placed is None:
                    continue
                if rows is None:
                    output = output + placed.adds(given, output, bias)
                else:
                    more = placed.adds(given[rows], output[rows], bias)
                    output = output.index_add(0, rows, more)
            return output

        return added


def _size(placed: dict[str, Placed]) -> int:
    return sum(layer.bytes for layer in placed.values())
