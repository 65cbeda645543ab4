"""LoCoMo's part of the benchmark of consolidation: what a whole sleep, and forgetting to half the
bytes, leave of Recall@10."""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memos.benchmarks import locomo
from memos.benchmarks.keeping import probe
from memos.benchmarks.keeping.parts import embedder_of, opened, say
from memos.benchmarks.texts import locomo_data
from memos.types import JobState, Policy

if TYPE_CHECKING:
    from memos.service import MemoryOS, Service
    from memos.types import Cube

_UNSCORED = 5
"""The category of LoCoMo's questions that have no answer."""
_PENDING = (JobState.QUEUED, JobState.RUNNING, JobState.FAILED)


def recall(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Recall of LoCoMo's evidence before, after a whole sleep, and after forgetting to half the
    bytes of what is live then.

    Before the sleep every question of category 5, which is not scored, is asked once, as an agent
    asks over the days: so segments have visits, and the hot ones are promoted."""
    dataset = locomo_data.read(options.data)
    stages: dict[str, list[Any]] = {"before": [], "consolidated": [], "half_bytes": []}
    sizes: dict[str, dict[str, int]] = {name: {"memories": 0, "bytes": 0} for name in stages}
    actions: Counter[str] = Counter()
    with opened(folder, embedder_of(options), notes=True) as (service, memory):
        for conversation in dataset.conversations:
            name = f"locomo-{conversation.id}"
            say(name)
            memory.create_cube(name)
            locomo.ingest(memory, conversation, name)
            _worked(service, memory, name)
            cube = memory.cube(name)
            _stage(service, memory, cube, conversation, "before", stages, sizes)
            _visited(service, memory, cube, conversation)
            memory.consolidate(cube=name)
            _worked(service, memory, name)
            actions += probe.actions(memory, name)
            half = _stage(service, memory, cube, conversation, "consolidated", stages, sizes)
            memory.set_policy(Policy(max_bytes=max(1, half // 2)), cube=name)
            memory.sweep(cube=name)
            _worked(service, memory, name)
            _stage(service, memory, cube, conversation, "half_bytes", stages, sizes)
    scores = {name: _recall(answers) for name, answers in stages.items()}
    return {
        "questions": len([a for a in stages["before"] if a.question.category != _UNSCORED]),
        "recall@10": scores,
        "size": sizes,
        "actions": dict(sorted(actions.items())),
        "lost_by_consolidation": round(scores["before"] - scores["consolidated"], 2),
        "lost_by_forgetting": round(scores["before"] - scores["half_bytes"], 2),
    }


def _worked(service: Service, memory: MemoryOS, cube: str) -> None:
    """Until all jobs of a cube are done but the summaries of communities, which searches and
    consolidations know nothing of."""
    while True:
        service.worker.drain()
        pending = memory.jobs(cube=cube, states=_PENDING, limit=100).items
        if not [job for job in pending if "communities" not in job.payload]:
            return
        time.sleep(0.5)


def _visited(
    service: Service, memory: MemoryOS, cube: Cube, conversation: locomo_data.Conversation
) -> None:
    for question in conversation.questions:
        if question.category == _UNSCORED:
            memory.search(question.text, cube=cube.name)
    service.uses.flush()


def _stage(
    service: Service,
    memory: MemoryOS,
    cube: Cube,
    conversation: locomo_data.Conversation,
    name: str,
    stages: dict[str, list[Any]],
    sizes: dict[str, dict[str, int]],
) -> int:
    for answer in locomo.ask(memory, conversation, cube.name):
        stages[name].append(answer)
        # What a search gave out is used, and so kept: the scored questions must not choose what
        # is promoted and what stays.
        service.recalls.drain()
    items = probe.held(service, cube.id)
    size = sum(item.bytes for item in items)
    sizes[name]["memories"] += len(items)
    sizes[name]["bytes"] += size
    return size


def _recall(answers: list[Any]) -> float:
    """Percent, over the questions of categories 1 to 4."""
    scores = [a.scores["recall@10"] for a in answers if a.question.category != _UNSCORED]
    return round(statistics.fmean(scores), 2)
