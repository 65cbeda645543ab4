"""LoCoMo ranked by weights that have not seen the conversation they rank.

The candidates of every question are examined once; then each conversation is searched with weights
that were fitted to all others. Knows the service in this process; measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from memos.benchmarks import fusion_fit
from memos.benchmarks.retrieval import fusion_trial
from memos.benchmarks.retrieval.fusion_examples import Example
from memos.benchmarks.texts.locomo_data import Conversation, Dataset

if TYPE_CHECKING:
    from memos.service import Service


def examined(running: Service, dataset: Dataset, cubes: Mapping[str, str]) -> list[Example]:
    """All questions of conversations that stand in `cubes` (cube by conversation)."""
    return [
        example
        for conversation in dataset.conversations
        for example in fusion_fit.examine(running, cubes[conversation.id], conversation)
    ]


def each_unseen(
    running: Service, dataset: Dataset, found: Sequence[Example]
) -> Iterator[Conversation]:
    """The conversations in order, each while the service has the weights fitted to the others."""
    fits = fusion_trial.left_out(found)
    before = running.searcher.gathering.fit
    try:
        for conversation in dataset.conversations:
            running.searcher.gathering.fit = fits[conversation.id]
            yield conversation
    finally:
        running.searcher.gathering.fit = before
