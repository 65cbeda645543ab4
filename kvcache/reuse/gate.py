"""Reuse out of place only where it was measured, on the user's model and texts, to change next to
nothing.

Below the threshold texts are read in full, as if nothing were stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from torch import Tensor

from memos.errors import StateConflict
from memos.kvcache.attention.continuation import Continuation
from memos.kvcache.attention.rows import Held
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.quality.harness import full
from memos.kvcache.reuse.chunks import Chunk
from memos.kvcache.reuse.placing import aligned, repaired
from memos.kvcache.reuse.recompute import Selection
from memos.kvcache.reuse.tree import common
from memos.types import JoinPoint, JoinReport

THRESHOLD = 0.95
"""Least share of an answer's tokens that must be the likeliest ones as after a full prefill."""
ANSWER = 64
"""Tokens of each answer that are compared."""


class Comparison:
    """Chunks of text, and questions after them that were answered after a full prefill: what
    joining gives is compared with that. The text is read once for all questions.

    StateConflict if fewer than two chunks are found in the prompts.
    """

    def __init__(
        self, model: LocalModel, prompts: Sequence[Sequence[int]], chunks: Sequence[Chunk]
    ) -> None:
        for prompt in prompts:
            model.check([*prompt, *[0] * ANSWER])
        self._module = model.module
        shared = list(min(prompts, key=len)[:-1])
        for prompt in prompts:
            shared = shared[: common(shared, prompt)]
        # One token more, since the last one is never a chunk's.
        self._placed = aligned([*shared, 0], chunks)
        if len(self._placed) < 2:
            raise StateConflict("the texts are not found again in the prompt's tokens")
        self._text = shared[: self._placed[-1].end]
        self._full = full(self._module, self._text)
        self._following = [self._answered(prompt[len(self._text) :]) for prompt in prompts]

    def at(self, ratio: float, selection: Selection) -> tuple[list[bool], list[float]]:
        """(same likeliest token, KL in nats) at each token of all answers after the full prefill,
        when a share of `ratio` is computed again."""
        held, _ = repaired(self._module, self._text, self._placed, ratio=ratio, selection=selection)
        same: list[bool] = []
        kl: list[float] = []
        for following in self._following:
            # Run again each time: the logits of all answers would take more room than the states.
            expected, got = self._logits(self._full, following), self._logits(held, following)
            same += (expected.argmax(-1) == got.argmax(-1)).tolist()
            kl += (expected.exp() * (expected - got)).sum(-1).clamp(min=0).tolist()
        return same, kl

    def _answered(self, question: Sequence[int]) -> list[int]:
        run = Continuation(self._module, self._full)
        return [*question, *run.generate(question, ANSWER)]

    def _logits(self, held: Held, following: Sequence[int]) -> Tensor:
        """(ANSWER, vocabulary) log probabilities of each token of the answer."""
        logits = Continuation(self._module, held).feed(following[:-1])
        return logits[-ANSWER:].log_softmax(-1)


def closed(report: JoinReport | None) -> str | None:
    """Why the gate is closed; None if it is open."""
    if report is None:
        return "joining was never measured here with this model; measure_joining does that"
    if report.ratio is None:
        best = max(point.top1 for point in report.curve)
        return (
            f"the gate is closed: at best {best:.3f} of the tokens were the same, and "
            f"{report.threshold} are wanted"
        )
    return None


def reported(
    found: Mapping[float, tuple[Sequence[bool], Sequence[float]]],
    *,
    model: str,
    selection: Selection,
    activations: int,
    questions: int,
    at: datetime,
) -> JoinReport:
    """Means over all answers, by the share that was computed again, in ascending order."""
    curve = tuple(
        JoinPoint(ratio=ratio, top1=_mean(same), kl=_mean(kl))
        for ratio, (same, kl) in found.items()
    )
    return JoinReport(
        model=model,
        selection=selection,
        curve=curve,
        threshold=THRESHOLD,
        ratio=next((point.ratio for point in curve if point.top1 >= THRESHOLD), None),
        tokens=len(next(iter(found.values()))[0]),
        activations=activations,
        questions=questions,
        measured_at=at,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
