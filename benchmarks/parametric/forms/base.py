"""What forms of parametric memory other than low-rank weights have in common, for the part `forms`.

A form changes what a module computes by hooks, so that the training, the replay and the judging of
adapters are used as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from memos.kvcache.lora.learning import Downhill
from memos.types import Recipe


def by_peft(module: Any, config: Any) -> Any:
    """peft's model of this configuration around `module`."""
    from peft import get_peft_model

    with warnings.catch_warnings():
        # peft asks a model for a name that transformers has given another one.
        warnings.simplefilter("ignore", FutureWarning)
        return get_peft_model(module, config)


class Form:
    """`memos.kvcache.lora.training.Learns` for `weights` that hooks of a subclass read while it
    `works`. Not resumed and not kept: it is measured only."""

    layers: dict[str, Any] = {}  # noqa: RUF012  nothing is kept apart

    def __init__(
        self, module: Any, recipe: Recipe, weights: Sequence[Tensor], *, steps: int, first: int
    ) -> None:
        self.module = module
        self.first = first
        self.weights = list(weights)
        self.works = True
        self._downhill = Downhill(self.weights, recipe, steps=steps)

    @property
    def parameters(self) -> int:
        return sum(weight.numel() for weight in self.weights)

    def learn(self, loss: Tensor, step: int) -> float:
        return self._downhill.step(loss, step)

    def keep_apart(self, directions: Mapping[str, Tensor]) -> None:
        """Nothing: no layer of it is asked for."""

    @contextmanager
    def without(self) -> Iterator[None]:
        self.works = False
        try:
            yield
        finally:
            self.works = True

    def state(self) -> dict[str, Tensor]:
        raise NotImplementedError("forms are not resumed")

    def restore(self, state: Mapping[str, Tensor]) -> None:
        raise NotImplementedError("forms are not resumed")
