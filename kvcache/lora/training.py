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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from memos.errors import InvalidInput, OutOfMemory, TrainingFailed
from memos.kvcache.lora import forward
from memos.kvcache.lora.checkpoint import Checkpoint
from memos.kvcache.lora.curriculum import Curriculum
from memos.kvcache.lora.learning import Learner
from memos.kvcache.lora.packing import NOTHING, Tokenised, packed
from memos.types import Recipe

log = logging.getLogger(__name__)

_LIKELIEST = 256
"""Tokens whose probabilities are kept of each place of the replay."""
_LEAST = 1e-9


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


class Training:
    """One adapter in the making.

    `probes` are asked after each pass. `told` hears of every step and may raise to end it, which
    leaves the last checkpoint. InvalidInput if there is nothing to learn.
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
        checkpoint: Checkpoint | None = None,
        told: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        if not examples:
            raise InvalidInput("there is no example to learn from; choose memories with content")
        self._head = tuple(head)
        self._recipe = recipe
        self._examples = list(examples)
        self._replay = list(replay)
        self._probes = list(probes)
        self._checkpoint = checkpoint
        self._told = told
        self._plan = Curriculum(examples, replay, recipe, head=len(head))
        self.learner = Learner(module, recipe, steps=len(self._plan.steps))
        self._before: dict[int, tuple[Tensor, Tensor]] = {}

    def run(self) -> Outcome:
        """TrainingFailed if the loss is no number; OutOfMemory."""
        step, tokens, seconds = self._resumed()
        recall: float | None = None
        loss, stopped, began = 0.0, "passes", time.monotonic()
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
        answered = forward.right(self.learner.module, self._head, self._probes)
        return sum(answered) / max(len(answered), 1)

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
        parts = [self._replay[n] if held else self._examples[n] for n, held in entries]
        module = self.learner.module
        row = packed(self._head, parts, device=module.device, dtype=module.dtype)
        logits, labels = forward.label_logits(module, row)
        owner = row.owner[row.labels[0] != NOTHING]
        held = torch.tensor([held for _, held in entries], device=owner.device)[owner]
        total = logits.new_zeros(())
        if not bool(held.all()):
            total = total + cross_entropy(logits[~held], labels[~held])
        if bool(held.any()):
            numbers = [n for n, held in entries if held]
            tokens = torch.cat([self._before[n][0] for n in numbers])
            chances = torch.cat([self._before[n][1] for n in numbers])
            total = total + self._recipe.hold * divergence(logits[held], tokens, chances)
        return total, row.tokens

    def _remember(self, numbers: Sequence[int]) -> None:
        """What the model says of these before it learns."""
        new = [number for number in dict.fromkeys(numbers) if number not in self._before]
        if not new:
            return
        module = self.learner.module
        with torch.no_grad(), self.learner.without():
            parts = [self._replay[n] for n in new]
            row = packed(self._head, parts, device=module.device, dtype=module.dtype)
            logits, _ = forward.label_logits(module, row)
        owner = row.owner[row.labels[0] != NOTHING]
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
    """Turns torch's many ways to say that memory is short into one error."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        short = isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or (
            isinstance(error, RuntimeError) and "allocate memory" in str(error)
        )
        if short:
            raise OutOfMemory(
                f"memory was short in training: {error}; use fewer tokens a step, a lower rank or "
                "the optimizer adafactor"
            ) from error
