"""What may be joined, and measured: requests for activation memories one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from memos.errors import InvalidInput
from memos.types import Recomputed
from memos.validation import check_text

MOST = 32
"""Activation memories, or questions, of one request."""


def check_join(ids: Sequence[str], *, top: int | None = None) -> None:
    """InvalidInput for fewer than two, too many, one twice, or a `top` below 1."""
    if not 2 <= len(ids) <= MOST:
        raise InvalidInput(
            f"{len(ids)} activation memories to join; give 2 to {MOST}", field="activations"
        )
    if len(set(ids)) < len(ids):
        raise InvalidInput(
            "an activation memory is named twice; name each once", field="activations"
        )
    if top is not None and top < 1:
        raise InvalidInput(f"top is {top}; the minimum is 1", field="top")


def check_measuring(
    ids: Sequence[str], questions: Sequence[str], *, ratios: Sequence[float], selection: str
) -> None:
    """InvalidInput for what can't be measured."""
    check_join(ids)
    if not 1 <= len(questions) <= MOST:
        raise InvalidInput(
            f"{len(questions)} questions to measure with; give 1 to {MOST}", field="questions"
        )
    for question in questions:
        check_text("questions", question)
        if not question.strip():
            raise InvalidInput("a question is empty; leave it out", field="questions")
    if not 1 <= len(ratios) <= MOST or not all(0 <= ratio < 1 for ratio in ratios):
        raise InvalidInput(
            f"ratios are {list(ratios)}; give 1 to {MOST} shares of tokens, each from 0 to below "
            "1, which would be a full prefill",
            field="ratios",
        )
    if selection not in get_args(Recomputed):
        raise InvalidInput(
            f"selection is {selection!r}; use one of {', '.join(get_args(Recomputed))}",
            field="selection",
        )
