"""Adapters in the making: what a job, or a caller who waits, does for a row until it can be used.

Trains or merges, has it judged, and writes down what came of it. Knows nothing of what is attached.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from memos.config import Settings
from memos.errors import AdapterNotFound, AdapterRefused, MemosError, StateConflict
from memos.protocols import Clock, Rephraser, Stores
from memos.service.local_model.carried import carried
from memos.service.local_model.late_states import LateStates
from memos.service.parametric import rows
from memos.service.parametric.learning import Learning
from memos.types import (
    AdapterReport,
    Artifact,
    Cube,
    Gate,
    Memory,
    Recipe,
    State,
    Trained,
)
from memos.wire import from_builtins, to_builtins

_WORDINGS = 4
"""Other ways to ask a fact that a language model is asked for."""
_LOOK_SECONDS = 2.0
"""How often a training asks whether it is still wanted."""

Told = Callable[[float, float | None], None]


class Making:
    """Of all tenants."""

    def __init__(
        self,
        stores: Stores,
        learning: Learning,
        states: LateStates,
        settings: Settings,
        *,
        rephraser: Rephraser | None,
        clock: Clock,
    ) -> None:
        self._stores = stores
        self._rows = rows.Rows(stores)
        self._learning = learning
        self._states = states
        self._settings = settings
        self._rephraser = rephraser
        self._clock = clock

    def make(self, cube: Cube, id: str, told: Told) -> bool:
        """Trains or merges, judges and stores; False if that was done before. AdapterRefused if it
        does not pass."""
        artifact = self._rows.one(cube, id)
        if artifact.state is State.EXPIRED:
            raise rows.stale(artifact)
        if artifact.state is not State.GENERATED:
            return False
        memories = self._rows.present(cube, artifact)
        if "merged" in artifact.detail:
            done, examples = self._merge(cube, artifact, memories), 0
        else:
            artifact = self._worded(cube, artifact, memories)
            done, examples = self._train(cube, artifact, memories, told)
        keys = self._learning.keys(cube, memories)
        self._store(cube, artifact, done, keys, examples=examples)
        if done.report.refused is not None:
            raise AdapterRefused(
                f"adapter {id} may not be used: {done.report.refused}; give more or other "
                "memories, another recipe, or another gate",
                adapter_id=id,
                report=to_builtins(done.report),
            )
        return True

    def _worded(self, cube: Cube, artifact: Artifact, memories: Sequence[Memory]) -> Artifact:
        """With the wordings that a language model has for it: asked once, then kept in the row, so
        that a training that goes on has the same."""
        if self._rephraser is None or "wordings" in artifact.detail:
            return artifact
        questions = self._learning.questions(cube, memories)
        found = self._rephraser.rephrase(questions, count=_WORDINGS)
        wordings = {question: list(others) for question, others in found.items()}
        worded = replace(
            artifact,
            detail={**artifact.detail, "wordings": wordings},
            updated_at=self._clock(),
        )
        self._stores.artifacts.put(worded)
        return worded

    def _train(
        self, cube: Cube, artifact: Artifact, memories: Sequence[Memory], told: Told
    ) -> tuple[Trained, int]:
        """(what came of it, examples)."""
        recipe = from_builtins(artifact.detail["recipe"], Recipe)
        parent = artifact.detail.get("parent")
        begin = self._part(cube, parent) if parent else None
        made = self._learning.training_set(
            cube,
            memories,
            when=rows.when(artifact),
            seed=recipe.seed,
            begin=begin.file if begin else None,
            known=[source.memory_id for source in begin.sources] if begin else (),
            wordings=artifact.detail.get("wordings", {}),
        )
        done = self._states.wait().adapters.train(
            artifact.id,
            made,
            recipe,
            self.gate,
            carried(cube, artifact),
            told=self._watched(cube, artifact.id, told),
        )
        return done, len(made.examples)

    def _merge(self, cube: Cube, artifact: Artifact, memories: Sequence[Memory]) -> Trained:
        how = artifact.detail["merged"]
        files = [self._part(cube, id).file or "" for id in how["adapters"]]
        made = self._learning.training_set(cube, memories, when=rows.when(artifact))
        return self._states.wait().adapters.merge(
            artifact.id,
            files,
            made,
            self.gate,
            carried(cube, artifact),
            shares=how["shares"],
            method=how["method"],
            rank=how["rank"],
        )

    def _part(self, cube: Cube, id: str) -> Artifact:
        """An adapter that another is to be made of."""
        try:
            return self._rows.usable(cube, id)
        except AdapterNotFound as error:
            raise StateConflict(
                f"adapter {id}, of which it was to be made, was dropped meanwhile", adapter_id=id
            ) from error

    @property
    def gate(self) -> Gate:
        """By the settings."""
        chosen = self._settings
        return Gate(
            recall=chosen.lora_recall,
            perplexity=chosen.lora_perplexity,
            unchanged=chosen.lora_unchanged,
            harm=chosen.lora_harm,
        )

    def _watched(self, cube: Cube, id: str, told: Told) -> Told:
        """Also ends a training whose adapter was dropped or has become stale."""
        last = [time.monotonic()]

        def watch(share: float, recall: float | None) -> None:
            told(share, recall)
            if time.monotonic() - last[0] >= _LOOK_SECONDS:
                last[0] = time.monotonic()
                artifact = self._rows.one(cube, id)
                if artifact.state is State.EXPIRED:
                    raise rows.stale(artifact)

        return watch

    def _store(
        self,
        cube: Cube,
        artifact: Artifact,
        done: Trained,
        keys: Sequence[str],
        *,
        examples: int,
    ) -> None:
        model = self._states.wait().model
        passed = done.report.refused is None
        try:
            self.put(
                artifact,
                state=State.ACTIVATED if passed else State.ARCHIVED,
                reason=done.report.refused,
                model=model.id,
                fingerprint={**model.fingerprint, "adapter": done.digest},
                root=done.digest,
                file=done.file if passed else None,
                tokens=done.tokens,
                bytes=done.bytes,
                report=done.report,
                extra={
                    "keys": keys,
                    "rank": done.rank,
                    "parameters": done.parameters,
                    "examples": examples,
                    "steps": done.steps,
                    "seconds": round(done.seconds, 3),
                    "peak_bytes": done.peak_bytes,
                    "loss": done.loss,
                    "stopped": done.stopped,
                },
            )
        except MemosError:
            # A memory was changed or forgotten meanwhile: what was learnt of it may not stay.
            self._states.wait().adapters.remove(artifact.id)
            raise

    def put(
        self,
        artifact: Artifact,
        *,
        report: AdapterReport,
        extra: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> None:
        """Writes down a report with what else has changed."""
        detail = {**artifact.detail, "report": to_builtins(report), **(extra or {})}
        self._stores.artifacts.put(
            replace(artifact, detail=detail, updated_at=self._clock(), **changes)
        )
