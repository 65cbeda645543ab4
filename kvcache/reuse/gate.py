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
from memos.types import JoinPoint, JoinReport

THRESHOLD = 0.95
"""Least share of an answer's tokens that must be the likeliest ones as after a full prefill."""
ANSWER = 64
"""Tokens of each answer that are compared."""


class Comparison:
    """One question after several chunks of text, read in full and answered: what joining them
    gives is compared with that. StateConflict if fewer than two are found in the prompt."""

    def __init__(self, model: LocalModel, prompt: Sequence[int], chunks: Sequence[Chunk]) -> None:
        model.check([*prompt, *[0] * ANSWER])
        self._module = model.module
        self._prompt = prompt
        self._placed = aligned(prompt, chunks)
        if len(self._placed) < 2:
            raise StateConflict("the texts are not found again in the prompt's tokens")
        length = self._placed[-1].end
        held = full(self._module, prompt[:length])
        run = Continuation(self._module, held)
        self._following = [*prompt[length:], *run.generate(prompt[length:], ANSWER)]
        self._expected = self._answer(held)

    def at(self, ratio: float, selection: Selection) -> tuple[list[bool], list[float]]:
        """(same likeliest token, KL in nats) at each token of the answer after the full prefill."""
        held, _ = repaired(
            self._module, self._prompt, self._placed, ratio=ratio, selection=selection
        )
        expected, got = self._expected, self._answer(held)
        same: list[bool] = (expected.argmax(-1) == got.argmax(-1)).tolist()
        kl: list[float] = (expected.exp() * (expected - got)).sum(-1).clamp(min=0).tolist()
        return same, kl

    def _answer(self, held: Held) -> Tensor:
        logits = Continuation(self._module, held).feed(self._following[:-1])
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
    same: Mapping[float, Sequence[bool]],
    apart: Mapping[float, Sequence[float]],
    *,
    model: str,
    selection: Selection,
    activations: int,
    questions: int,
    at: datetime,
) -> JoinReport:
    """Means over all answers, by the share that was computed again, in ascending order."""
    curve = tuple(
        JoinPoint(ratio=ratio, top1=_mean(agree), kl=_mean(apart[ratio]))
        for ratio, agree in same.items()
    )
    return JoinReport(
        model=model,
        selection=selection,
        curve=curve,
        threshold=THRESHOLD,
        ratio=next((point.ratio for point in curve if point.top1 >= THRESHOLD), None),
        tokens=len(next(iter(same.values()))),
        activations=activations,
        questions=questions,
        measured_at=at,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
