"""Training an adapter: steps, what stops them, checkpoints that a killed process goes on from.

The loss is on answers. Replay is held by the divergence from what the model said before it learnt
(Kullback-Leibler, over its likeliest tokens and all others as one), which keeps more of it than its
answers alone would.
Where the result is kept is not known here.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from memos.errors import InvalidInput, OutOfMemory, TrainingFailed
from memos.kvcache.lora.apart import Inputs
from memos.kvcache.lora.checkpoint import Checkpoint
from memos.kvcache.lora.curriculum import Curriculum
from memos.kvcache.lora.packing import Tokenised, packed
from memos.kvcache.lora.split import MOST_BYTES, Begun, Split
from memos.kvcache.shortage import is_short
from memos.types import Recipe

log = logging.getLogger(__name__)

_LIKELIEST = 256
"""Tokens whose probabilities are kept of each place of the replay."""
_LEAST = 1e-9
_HEARD = 16
"""Examples that are read together to hear what layers are given."""


@dataclass(frozen=True)
class Progress:
    """How far a training is. `recall` is that of the last time it was measured; None before."""

    step: int
    steps: int
    loss: float
    recall: float | None


@dataclass(frozen=True)
class Outcome:
    """`stopped`: "recall", or "passes" when all were done."""

    steps: int
    tokens: int
    loss: float
    seconds: float
    stopped: str


class Learns(Protocol):
    """What learns: the `module` with what was learnt at work, whose layers under `first` stay as
    they are. `layers` are those whose input may be kept apart."""

    module: Any
    first: int

    @property
    def layers(self) -> dict[str, Any]: ...
    def learn(self, loss: Tensor, step: int) -> float: ...
    def keep_apart(self, directions: Mapping[str, Tensor]) -> None: ...
    def without(self) -> AbstractContextManager[None]: ...
    def state(self) -> dict[str, Tensor]: ...
    def restore(self, state: Mapping[str, Tensor]) -> None: ...


L = TypeVar("L", bound=Learns)


class Training(Generic[L]):
    """One adapter in the making.

    `known` are numbers of the examples that it knows already. `probes` are asked after each pass.
    `told` hears of every step and may raise to end it, which leaves the last checkpoint. `learner`
    makes what learns of module, recipe and steps.
    InvalidInput if there is nothing to learn.
    """

    def __init__(
        self,
        module: Any,
        head: Sequence[int],
        recipe: Recipe,
        *,
        examples: Sequence[Tokenised],
        replay: Sequence[Tokenised],
        probes: Sequence[Tokenised],
        known: Collection[int] = (),
        checkpoint: Checkpoint | None = None,
        told: Callable[[Progress], None] = lambda _: None,
        learner: Callable[..., L],
    ) -> None:
        if not examples:
            raise InvalidInput("there is no example to learn from; choose memories with content")
        self._recipe = recipe
        self._replay = range(len(examples), len(examples) + len(replay))
        self._probes = range(self._replay.stop, self._replay.stop + len(probes))
        self._checkpoint = checkpoint
        self._told = told
        self._plan = Curriculum(examples, replay, recipe, head=len(head), known=known)
        self.learner: L = learner(module, recipe, steps=len(self._plan.steps))
        parts = [*examples, *replay, *probes]
        self._begun = Begun(self._split(head, parts), head, parts)
        self._before: dict[int, tuple[Tensor, Tensor]] = {}

    def run(self) -> Outcome:
        """TrainingFailed if the loss is no number; OutOfMemory."""
        began = time.monotonic()
        # Before what was saved is read: a training that goes on has the same.
        self._keep_apart()
        step, tokens, seconds = self._resumed()
        recall: float | None = None
        loss, stopped = 0.0, "passes"
        ends = set(self._plan.ends)
        while step < len(self._plan.steps):
            loss, size = self._step(step)
            step, tokens = step + 1, tokens + size
            if step in ends and self._probes:
                recall = self.recall()
            self._told(Progress(step, len(self._plan.steps), loss, recall))
            if step in ends and recall is not None and recall >= self._recipe.enough:
                stopped = "recall"
                break
            if self._checkpoint is not None:
                spent = seconds + time.monotonic() - began
                self._checkpoint.offer(step, tokens, spent, self.learner.state)
        return Outcome(step, tokens, loss, seconds + time.monotonic() - began, stopped)

    def recall(self) -> float:
        """The share of probes answered right, to the last token."""
        answered = self._begun.right(self.learner.module, self._probes)
        return sum(answered) / max(len(answered), 1)

    def _split(self, head: Sequence[int], parts: Sequence[Tokenised]) -> Split:
        """Under the first layer that learns, if what is to be kept is not too much."""
        module = self.learner.module
        split = Split(module, self.learner.first)
        size = 4 * split.width * sum(len(part.tokens) for part in parts)
        row = packed(head, parts[:1], device=module.device, dtype=module.dtype)
        return split if size <= MOST_BYTES and split.holds(row) else Split(module, 0)

    def _keep_apart(self) -> None:
        """What is held also tells what nothing is to be learnt of."""
        if not self._recipe.apart or not self._replay:
            return
        inputs = Inputs(self.learner.layers)
        with _memory_told(), torch.no_grad(), self.learner.without(), inputs.heard():
            for start in range(0, len(self._replay), _HEARD):
                self._begun.read(self.learner.module, self._replay[start : start + _HEARD])
        self.learner.keep_apart(inputs.directions(self._recipe.apart))

    def _resumed(self) -> tuple[int, int, float]:
        saved = self._checkpoint.read() if self._checkpoint is not None else None
        if saved is None:
            return 0, 0, 0.0
        self.learner.restore(saved.state)
        log.info("a training goes on at step %d", saved.step)
        return saved.step, saved.tokens, saved.seconds

    def _step(self, step: int) -> tuple[float, int]:
        entries = self._plan.steps[step]
        with _memory_told():
            self._remember([number for number, held in entries if held])
            loss, size = self._loss(entries)
            norm = self.learner.learn(loss, step)
        value = float(loss.detach())
        if not math.isfinite(value) or not math.isfinite(norm):
            raise TrainingFailed(
                f"the loss is {value} (gradient {norm}) at step {step + 1}; use a lower rate than "
                f"{self._recipe.rate}",
                step=step + 1,
            )
        return value, size

    def _loss(self, entries: Sequence[tuple[int, bool]]) -> tuple[Tensor, int]:
        module = self.learner.module
        numbers = [self._replay[n] if held else n for n, held in entries]
        logits, labels, owner, size = self._begun.logits(module, numbers)
        held = torch.tensor([held for _, held in entries], device=owner.device)[owner]
        total = logits.new_zeros(())
        if not bool(held.all()):
            total = total + cross_entropy(logits[~held], labels[~held])
        if bool(held.any()):
            before = [self._before[n] for n, held in entries if held]
            tokens = torch.cat([tokens for tokens, _ in before])
            chances = torch.cat([chances for _, chances in before])
            total = total + self._recipe.hold * divergence(logits[held], tokens, chances)
        return total, size

    def _remember(self, numbers: Sequence[int]) -> None:
        """What the model says of these before it learns."""
        new = [number for number in dict.fromkeys(numbers) if number not in self._before]
        if not new:
            return
        with torch.no_grad(), self.learner.without():
            logits, _, owner, _ = self._begun.logits(
                self.learner.module, [self._replay[n] for n in new]
            )
        chances, tokens = logits.softmax(-1).topk(min(_LIKELIEST, logits.shape[-1]), dim=-1)
        for place, number in enumerate(new):
            mine = owner == place
            self._before[number] = (tokens[mine], chances[mine].clamp_min(_LEAST))


def divergence(logits: Tensor, tokens: Tensor, chances: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence, in nats, of what `logits` (n, vocabulary) say from what was
    said before: `chances` (n, k) of its likeliest `tokens` (n, k), below 1 in sum.

    What is left of the chances is one more outcome. Without it the least would be at logits that
    give nothing to any other token, and holding on would sharpen what it is to keep.
    """
    told = log_softmax(logits, dim=-1)
    others = told.scatter(-1, tokens, -torch.inf).logsumexp(-1)
    left = (1 - chances.sum(-1)).clamp_min(_LEAST)
    found = (chances * (chances.log() - told.gather(-1, tokens))).sum(-1)
    return (found + left * (left.log() - others)).mean()


class _memory_told:
    """Says that memory is short in our own words."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if is_short(error):
            raise OutOfMemory(
                f"memory was short in training: {error}; use fewer tokens a step, a lower rank or "
                "the optimizer adafactor"
            ) from error
