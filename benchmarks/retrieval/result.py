"""What a LoCoMo run found: answers, ingest times, and their summary as report.json has it.

Knows no service and no layout; `locomo` measures, `rendering` shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from memos.benchmarks import report
from memos.benchmarks.retrieval import evidence_metrics
from memos.benchmarks.texts.locomo_data import CATEGORIES, Dataset, Question

OURS = "memos"
DEPTH = 50
"""How many hits are asked for: the largest k of the metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one system gave for one question: dia_ids best first, and for ours times and tokens."""

    system: str
    question: Question
    ranked: tuple[str, ...]
    scores: dict[str, float]
    milliseconds: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)

    def as_row(self) -> dict[str, Any]:
        """Without the question's text: the licence of the data is not ours to pass on."""
        return {
            "system": self.system,
            "conversation": self.question.conversation,
            "question": self.question.number,
            "category": self.question.category,
            "evidence": list(self.question.evidence),
            "ranked": list(self.ranked),
            **{name: round(value, 4) for name, value in self.scores.items()},
            **{f"{name}_ms": round(value, 3) for name, value in self.milliseconds.items()},
            **{f"tokens@{name}": value for name, value in self.tokens.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """How long a conversation took until its last turn was durable and searchable."""

    conversation: str
    turns: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Result:
    dataset: Dataset
    answers: Sequence[Answer]
    ingests: Sequence[Ingest]
    environment: dict[str, Any]
    seed: int
    weights: str = ""
    """Which weights the fusion had: `fitted`, `plain`, or those of `leave one out`."""
    ablation: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """By channels used → group → metric, under leave-one-conversation-out; empty without it."""

    @cached_property
    def by_system(self) -> dict[str, list[Answer]]:
        """Answers by system, ours first."""
        found: dict[str, list[Answer]] = {}
        for answer in self.answers:
            found.setdefault(answer.system, []).append(answer)
        return found

    @cached_property
    def systems(self) -> dict[str, dict[str, dict[str, Any]]]:
        """System → group of categories → metric, with n and intervals."""
        return {
            system: evidence_metrics.summarise(
                [answer.scores for answer in answers],
                [answer.question.category for answer in answers],
                seed=self.seed,
            )
            for system, answers in self.by_system.items()
        }

    def by_conversation(self) -> dict[str, dict[str, dict[str, Any]]]:
        """System → conversation → metric, over categories 1 to 4."""
        return {
            system: {
                each.id: evidence_metrics.summarise(
                    [a.scores for a in answers if a.question.conversation == each.id],
                    [a.question.category for a in answers if a.question.conversation == each.id],
                    seed=self.seed,
                )["1-4"]
                for each in self.dataset.conversations
            }
            for system, answers in self.by_system.items()
        }

    def latency(self) -> dict[str, dict[str, float]]:
        """Of our searches, in ms: `total` as the caller waits, `embed` of the question, `search`
        all else that the service did."""
        ours = self.by_system.get(OURS, [])
        return {
            name: report.percentiles([answer.milliseconds[name] for answer in ours])
            for name in ("total", "embed", "search")
            if ours
        }

    def tokens(self) -> dict[str, dict[str, float]]:
        """Tokens of the texts returned, by how many hits were taken."""
        ours = self.by_system.get(OURS, [])
        return {
            name: report.percentiles([answer.tokens[name] for answer in ours])
            for name in ("10", str(DEPTH))
            if ours
        }

    def ingest(self) -> dict[str, Any]:
        turns = sum(each.turns for each in self.ingests)
        seconds = sum(each.seconds for each in self.ingests)
        return {
            "turns": turns,
            "seconds": round(seconds, 3),
            "turns_per_second": round(turns / seconds, 1),
        }

    def exclusions(self) -> dict[str, Any]:
        """Questions that are not scored, by reason, and each of them."""
        excluded = [one for each in self.dataset.conversations for one in each.excluded]
        return {
            "count": len(excluded),
            "by_reason": dict(Counter(one.reason for one in excluded)),
            "questions": [
                {
                    "conversation": one.conversation,
                    "question": one.number,
                    "category": one.category,
                    "reason": one.reason,
                }
                for one in excluded
            ],
        }

    def as_report(self) -> dict[str, Any]:
        """The fields of report.json beside those that every benchmark has."""
        conversations = self.dataset.conversations
        return {
            "systems": self.systems,
            "unit": "percent",
            "categories": {str(number): name for number, name in CATEGORIES.items()},
            "data": {
                "file": self.dataset.file.name,
                "sha256": self.dataset.sha256,
                "conversations": len(conversations),
                "turns": sum(len(each.turns) for each in conversations),
                "questions": len(self.dataset.questions),
                "questions_with_repaired_evidence": sum(each.repaired for each in conversations),
            },
            "exclusions": self.exclusions(),
            "weights": self.weights,
            "ablation": self.ablation,
            "by_conversation": self.by_conversation(),
            "latency_ms": self.latency(),
            "ingest": self.ingest(),
            "tokens_returned": self.tokens(),
            "bootstrap": {
                "resamples": evidence_metrics.RESAMPLES,
                "interval": 0.95,
                "unit": "question",
                "seed": self.seed,
            },
        }
