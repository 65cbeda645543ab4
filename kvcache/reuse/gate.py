"""Reuse out of place only where it was measured, on this model, to change next to nothing.

Below the threshold chunks are read in full, as if nothing were stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memos.errors import InvalidInput
from memos.kvcache.attention.continuation import Continuation
from memos.kvcache.attention.rows import Held
from memos.kvcache.quality.harness import full
from memos.kvcache.reuse.chunks import Chunk, compiled
from memos.kvcache.reuse.recompute import Selection, recomputed
from memos.kvcache.reuse.rotation import verify

if TYPE_CHECKING:
    import torch

THRESHOLD = 0.95
"""Least share of tokens whose likeliest next token must be the same as after a full prefill."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Chunks as they will be joined, and tokens that follow them, to measure on."""

    chunks: tuple[tuple[int, ...], ...]
    continuation: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was measured for a model: means over `tokens` tokens. KL in nats."""

    ratio: float
    selection: Selection
    top1: float
    kl: float
    tokens: int
    threshold: float = THRESHOLD

    @property
    def passed(self) -> bool:
        return self.top1 >= self.threshold


def judged(
    model: Any,
    samples: Sequence[Sample],
    *,
    ratio: float,
    selection: Selection = "deviation",
    threshold: float = THRESHOLD,
) -> Verdict:
    """Compares reuse with a full prefill on `samples`, which should be like the user's own texts.

    ModelUnsupported if the model's keys can't be moved at all; InvalidInput for no samples.
    """
    verify(model)
    if not any(sample.continuation for sample in samples):
        raise InvalidInput("no tokens to measure on: give samples with a continuation")
    same, kl = [], []
    for sample in samples:
        everything = [token for chunk in sample.chunks for token in chunk]
        chunks = [compiled(model, chunk) for chunk in sample.chunks]
        expected, got = (
            Continuation(model, held).feed(sample.continuation).log_softmax(-1)
            for held in (
                full(model, everything),
                recomputed(model, chunks, ratio=ratio, selection=selection),
            )
        )
        agree, apart = compared(expected, got)
        same += agree
        kl += apart
    count = len(same)
    return Verdict(ratio, selection, sum(same) / count, sum(kl) / count, count, threshold)


def compared(expected: torch.Tensor, got: torch.Tensor) -> tuple[list[bool], list[float]]:
    """(same likeliest token, KL(expected ‖ got) in nats) of each row of log probabilities."""
    same: list[bool] = (expected.argmax(-1) == got.argmax(-1)).tolist()
    kl: list[float] = (expected.exp() * (expected - got)).sum(-1).clamp(min=0).tolist()
    return same, kl


class Gate:
    """Prepares chunks for a prompt by the way that the verdict allows, and counts which it was.

    Without a verdict nothing is reused.
    """

    def __init__(self, model: Any, verdict: Verdict | None = None) -> None:
        self._model = model
        self.verdict = verdict
        self.reused = 0
        self.prefilled = 0

    def prepare(self, chunks: Sequence[Chunk]) -> Held:
        """What is held of the chunks, one after another."""
        if self.verdict is not None and self.verdict.passed:
            self.reused += 1
            ratio, selection = self.verdict.ratio, self.verdict.selection
            return recomputed(self._model, chunks, ratio=ratio, selection=selection)
        self.prefilled += 1
        return full(self._model, [token for chunk in chunks for token in chunk.tokens])
