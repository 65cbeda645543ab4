"""Questions with their candidates, features and evidence: what a fusion is fitted to and judged by.

Conversations in LoCoMo's format go into cubes of a service in this process; each question is asked
of it with its text alone. Adversarial questions put one speaker's doings to the other: with the
names exchanged they are plain questions, from which a fit may learn, though none is judged by them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memos.benchmarks.texts.locomo_data import Conversation, Question
from memos.retrieval.gathering import Examined
from memos.retrieval.search import Searcher
from memos.types import Cube

ADVERSARIAL = 5


@dataclass(frozen=True, slots=True)
class Example:
    """`relevant[i]` says whether the i-th candidate is evidence; `evidence` counts all there is.

    `parts` are the channels' shares of the plain sum, by channel; `base` is what a fit keeps of
    that sum. `graph`, how near the graph puts them, is part of neither.
    """

    conversation: str
    question: Question
    ids: tuple[str, ...]
    plain: NDArray[np.float64]
    base: NDArray[np.float64]
    parts: dict[str, NDArray[np.float64]]
    matrix: NDArray[np.float64]
    graph: NDArray[np.float64]
    relevant: NDArray[np.bool_]

    @property
    def judged(self) -> bool:
        return self.question.category != ADVERSARIAL


def examples(
    searcher: Searcher, cube: Cube, conversation: Conversation, dia_ids: dict[str, str]
) -> Iterator[Example]:
    """One for each question of a conversation that `cube` holds; `dia_ids` by memory id."""
    for question in conversation.questions:
        text = question.text
        if question.category == ADVERSARIAL:
            text = exchanged(text, [turn.speaker for turn in conversation.turns])
        yield _example(searcher.examine(cube, text), question, dia_ids)


def exchanged(text: str, speakers: Sequence[str]) -> str:
    """`text` with each of two speakers' names put for the other's; as it is for any other number of
    speakers."""
    names = sorted(set(speakers))
    if len(names) != 2:
        return text
    other = dict(zip(names, reversed(names), strict=True))
    either = "|".join(map(re.escape, names))
    return re.sub(rf"\b(?:{either})\b", lambda found: other[found.group()], text)


def _example(found: Examined, question: Question, dia_ids: dict[str, str]) -> Example:
    ids = tuple(dia_ids[memory_id] for memory_id in found.ids)
    evidence = set(question.evidence)
    return Example(
        conversation=question.conversation,
        question=question,
        ids=ids,
        plain=found.plain.scores.astype(np.float64),
        base=found.base.astype(np.float64),
        parts={part.channel: part.share.astype(np.float64) for part in found.plain.parts},
        matrix=found.matrix.astype(np.float64),
        graph=found.graph.astype(np.float64),
        relevant=np.array([one in evidence for one in ids], np.bool_),
    )
