"""A model cut under the first layer that learns.

The layers under the cut never change, so what they make of an example is computed once and kept: a
step runs, forwards and backwards, only the layers above. Where the last half of the layers learn,
that is half the work; the outcome is that of the whole model up to rounding.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from memos.kvcache.lora import forward
from memos.kvcache.lora.packing import NOTHING, Packed, Tokenised, packed, rows

log = logging.getLogger(__name__)

_NEAR = 0.01
"""Of the spread of the logits: far more than rounding, far less than another outcome."""
MOST_BYTES = 1 << 30
"""Of kept states; with more than that to keep, the whole model is run."""
_ROW = 512
"""Tokens that are run together to be kept."""


class _Given(torch.nn.Module):
    """Stands for a layer: gives what was kept, whatever comes in, or else what comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.states: Tensor | None = None

    def forward(self, hidden: Tensor, *_: Any, **__: Any) -> Tensor:
        return hidden if self.states is None else self.states


class Split:
    """`module` between its layers `first` - 1 and `first`; 0 is no cut. `width`: numbers of a
    state."""

    def __init__(self, module: Any, first: int) -> None:
        self._module = module
        self._layers: Any = getattr(module.get_decoder(), "layers", None)
        self.first = 0 if self._layers is None else first
        self.width = int(module.config.get_text_config(decoder=True).hidden_size)
        self._given = _Given()

    def below(self, row: Packed) -> Tensor:
        """(1, n, width) of what the layer `first` is given."""
        kept: list[Tensor] = []
        handle = self._layers[self.first - 1].register_forward_hook(
            lambda _, __, output: kept.append(output)
        )
        try:
            with torch.no_grad(), self._instead(range(self.first, len(self._layers)), None):
                forward.run(self._module, row, _nowhere(self._module))
        finally:
            handle.remove()
        return kept[0]

    def holds(self, row: Packed) -> bool:
        """Whether a row comes out as it does from the whole model: not every model hands on from
        layer to layer nothing but one state for each token."""
        if not self.first:
            return True
        try:
            states = self.below(row)
            with torch.no_grad(), self.above(states):
                cut, _ = forward.label_logits(self._module, row)
        except (TypeError, ValueError, IndexError, RuntimeError, AttributeError) as error:
            log.info("the model can't be cut at layer %d: %s", self.first, error)
            return False
        with torch.no_grad():
            whole, _ = forward.label_logits(self._module, row)
        return bool((cut - whole).abs().max() <= _NEAR * whole.std())

    @contextmanager
    def above(self, states: Tensor | None) -> Iterator[None]:
        """Within it the module begins at the layer `first` with these states; with all of its
        layers if they are None."""
        with self._instead(range(self.first if states is not None else 0), states):
            yield

    @contextmanager
    def _instead(self, numbers: range, states: Tensor | None) -> Iterator[None]:
        true = {number: self._layers[number] for number in numbers}
        self._given.states = states
        try:
            for number in true:
                self._layers[number] = self._given
            yield
        finally:
            for number, layer in true.items():
                self._layers[number] = layer
            self._given.states = None


class Begun:
    """Examples with the states that they have under the cut, each computed when it is first needed
    and in the same company always, so that a training that goes on after a crash has the same."""

    def __init__(self, split: Split, head: Sequence[int], parts: Sequence[Tokenised]) -> None:
        self.parts = list(parts)
        self._split = split
        self._head = tuple(head)
        self._groups: list[list[int]] = []
        self._group_of: list[int] = []
        number = 0
        for group in rows(self.parts, head=len(head), tokens=_ROW):
            numbers = list(range(number, number + len(group)))
            self._group_of += [len(self._groups)] * len(group)
            self._groups.append(numbers)
            number += len(group)
        self._kept: dict[int, Tensor] = {}
        self._of_head: Tensor | None = None

    def row(self, module: Any, numbers: Sequence[int]) -> tuple[Packed, Tensor | None]:
        """(these examples in one row, their states)."""
        row = self._packed(module, numbers)
        if not self._split.first:
            return row, None
        for number in numbers:
            if number not in self._kept:
                self._keep(module, self._groups[self._group_of[number]])
        states = [self._kept[number] for number in numbers]
        if any(self.parts[number].headed for number in numbers):
            states = [self._head_states(module), *states]
        return row, torch.cat(states)[None]

    def _head_states(self, module: Any) -> Tensor:
        """Of the head, always from the first row that has it."""
        if self._of_head is None:
            first = next(n for n, part in enumerate(self.parts) if part.headed)
            group = self._groups[self._group_of[first]]
            states = self._split.below(self._packed(module, group))[0]
            self._of_head = states[: len(self._head)].clone()
        return self._of_head

    def logits(self, module: Any, numbers: Sequence[int]) -> tuple[Tensor, Tensor, Tensor, int]:
        """(logits (m, vocabulary) float32, labels (m,), number in `numbers` that each is of (m,),
        tokens of the row), of all places with a label."""
        row, states = self.row(module, numbers)
        with self._split.above(states):
            logits, labels = forward.label_logits(module, row)
        return logits, labels, row.owner[row.labels[0] != NOTHING], row.tokens

    def read(self, module: Any, numbers: Sequence[int]) -> None:
        """Runs these, for those who listen to its layers."""
        row, states = self.row(module, numbers)
        with self._split.above(states):
            forward.run(module, row, _nowhere(module))

    @torch.no_grad()
    def right(self, module: Any, numbers: Sequence[int]) -> list[bool]:
        """Whether each answer is the one that greedy decoding would give."""
        found: list[bool] = []
        for size in rows([self.parts[n] for n in numbers], head=len(self._head), tokens=_ROW):
            part = numbers[len(found) : len(found) + len(size)]
            logits, labels, owner, _ = self.logits(module, part)
            found += forward.all_likeliest(logits, labels, owner, len(part))
        return found

    def _packed(self, module: Any, numbers: Sequence[int]) -> Packed:
        parts = [self.parts[number] for number in numbers]
        return packed(self._head, parts, device=module.device, dtype=module.dtype)

    def _keep(self, module: Any, numbers: Sequence[int]) -> None:
        row = self._packed(module, numbers)
        states = self._split.below(row)[0]
        headed = len(row.owner) - sum(len(self.parts[number].tokens) for number in numbers)
        at = headed
        for number in numbers:
            size = len(self.parts[number].tokens)
            self._kept[number] = states[at : at + size].clone()
            at += size


def _nowhere(module: Any) -> Tensor:
    """No place at all: the head of the model is not run."""
    return torch.zeros(0, dtype=torch.long, device=module.device)
