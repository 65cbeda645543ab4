"""Answers of the local model: from an activation memory, many at once, or from several joined.

Each begins with a comparison of the activation memories with what they were compiled from. What is
stored of them is the model's matter: what is missing is computed, and that is noted here for a job.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from memos.activation.joining import check_join, check_measuring
from memos.activation.prompts import check_messages
from memos.errors import BatchTooLarge, InvalidInput, MemosError, NotFound
from memos.protocols import Clock, Stores, cube_name
from memos.service.activation.compiling import Compiling
from memos.service.activation.refreshing import Refreshing
from memos.service.local_model.late_states import LateStates
from memos.service.parametric.adapters import Adapters
from memos.types import (
    Answers,
    Artifact,
    Cube,
    Generated,
    JoinReport,
    Memory,
    Opening,
    Piece,
    Prompting,
    Recomputed,
    State,
)

MOST_PROMPTS = 64
"""Of one batch: all of them are rows of one forward pass."""
_LIKELY = 8
"""Activation memories of a cube that are brought near when another one is used first."""

Messages = Sequence[Mapping[str, str]]


class Answering:
    """Of all tenants; callers hand in a cube they may use."""

    def __init__(
        self,
        stores: Stores,
        states: LateStates,
        adapters: Adapters,
        compiling: Compiling,
        refreshing: Refreshing,
        *,
        clock: Clock,
    ) -> None:
        self._stores = stores
        self._states = states
        self._adapters = adapters
        self._compiling = compiling
        self._refreshing = refreshing
        self._clock = clock
        self._begun: set[str] = set()
        self._lock = threading.Lock()

    def stream(
        self,
        cube: Cube,
        messages: Sequence[Mapping[str, str]],
        wanted: Prompting,
        *,
        activation: str | None,
        refresh: bool,
        adapter: str | None = None,
    ) -> Iterator[Piece]:
        """The answer as it comes; what is wrong with the request is raised at once."""
        check_messages(messages)
        learnt = self._adapters.at_work(cube, adapter, messages)
        artifact, memories = self._begun_at(cube, activation, refresh=refresh)
        opening = self._compiling.opening(cube, artifact, memories, learnt.file if learnt else None)
        pieces = self._states.wait().stream(opening, messages, wanted)
        return self._told(cube, artifact, learnt, opening, pieces)

    def generate(self, *args: Any, **options: Any) -> Generated:
        """As `stream`, whole."""
        for piece in self.stream(*args, **options):
            if piece.done is not None:
                return piece.done
        raise MemosError("the local model's answer had no end; this is a fault of memos")

    def batch(
        self,
        cube: Cube,
        prompts: Sequence[Messages],
        wanted: Prompting,
        *,
        activation: str | None,
        refresh: bool,
        adapter: str | None = None,
    ) -> Answers:
        """The answers in the order of the prompts. What these have in common, the activation memory
        above all, is read and held once. BatchTooLarge above MOST_PROMPTS."""
        _check_batch(prompts)
        learnt = [self._adapters.at_work(cube, adapter, messages) for messages in prompts]
        artifact, memories = self._begun_at(cube, activation, refresh=refresh)
        # Which adapter is at work can depend on what is asked.
        groups: dict[str | None, list[int]] = {}
        for index, one in enumerate(learnt):
            groups.setdefault(one.id if one else None, []).append(index)
        found: dict[int, Generated] = {}
        computed = 0
        for members in groups.values():
            one = learnt[members[0]]
            opening = self._compiling.opening(cube, artifact, memories, one.file if one else None)
            asked = [prompts[index] for index in members]
            answers = self._states.wait().batch(opening, asked, wanted)
            computed += answers.computed_tokens
            for index, done in zip(members, answers.items, strict=True):
                found[index] = self._noted(cube, artifact, one, opening, done)
        items = tuple(found[index] for index in range(len(prompts)))
        return Answers(
            items=items,
            prompt_tokens=sum(done.prompt_tokens for done in items),
            computed_tokens=computed,
        )

    def joined(
        self,
        cube: Cube,
        ids: Sequence[str],
        messages: Messages,
        wanted: Prompting,
        *,
        top: int | None,
        refresh: bool,
        adapter: str | None = None,
    ) -> Generated:
        """An answer from several activation memories, one after another, each computed by itself:
        where that was measured to change next to nothing in this cube; else all is read in full,
        and `reason` says why."""
        check_messages(messages)
        check_join(ids, top=top)
        learnt = self._adapters.at_work(cube, adapter, messages)
        artifacts, openings = self._openings(cube, ids, learnt, refresh=refresh)
        done = self._states.wait().joining.answer(
            openings, messages, wanted, scope=cube_name(cube.id), top=top
        )
        used = [artifacts[index] for index in done.chosen]
        now = self._clock()
        for artifact in used:
            self._stores.artifacts.used(cube.id, artifact.id, hit=bool(done.answer.joined), at=now)
        if learnt is not None:
            self._stores.artifacts.used(cube.id, learnt.id, hit=True, at=now)
        return replace(
            done.answer,
            activations=tuple(artifact.id for artifact in used),
            adapter=learnt.id if learnt else None,
        )

    def measure_joining(
        self,
        cube: Cube,
        ids: Sequence[str],
        questions: Sequence[str],
        *,
        ratios: Sequence[float],
        selection: Recomputed,
        adapter: str | None = None,
    ) -> JoinReport:
        """How near answers of these activation memories joined are to those after a full prefill.
        What is found holds for the cube and the model, until it is measured again."""
        check_measuring(ids, questions, ratios=ratios, selection=selection)
        learnt = self._adapters.at_work(cube, adapter)
        _, openings = self._openings(cube, ids, learnt, refresh=False)
        return self._states.wait().joining.measure(
            openings,
            questions,
            scope=cube_name(cube.id),
            ratios=ratios,
            selection=selection,
            at=self._clock(),
        )

    def joining(self, cube: Cube, *, adapter: str | None = None) -> JoinReport:
        """What was measured. NotFound if nothing was, with the model and adapter at work."""
        learnt = self._adapters.at_work(cube, adapter)
        opening = self._compiling.opening(cube, None, [], learnt.file if learnt else None)
        found = self._states.wait().joining.report(opening, scope=cube_name(cube.id))
        if found is None:
            raise NotFound(
                f"joining was never measured in cube {cube.name!r} with this model; "
                "`measure_joining` does that"
            )
        return found

    def _begun_at(
        self, cube: Cube, id: str | None, *, refresh: bool
    ) -> tuple[Artifact | None, list[Memory]]:
        if id is None:
            return None, []
        artifact = self._refreshing.usable(cube, id, refresh=refresh)
        return artifact, self._compiling.compiled(artifact)

    def _openings(
        self, cube: Cube, ids: Sequence[str], learnt: Artifact | None, *, refresh: bool
    ) -> tuple[list[Artifact], list[Opening]]:
        artifacts = [self._refreshing.usable(cube, id, refresh=refresh) for id in ids]
        openings = [
            self._compiling.opening(
                cube, artifact, self._compiling.compiled(artifact), learnt.file if learnt else None
            )
            for artifact in artifacts
        ]
        return artifacts, openings

    def _told(
        self,
        cube: Cube,
        artifact: Artifact | None,
        learnt: Artifact | None,
        opening: Opening,
        pieces: Iterator[Piece],
    ) -> Iterator[Piece]:
        for piece in pieces:
            done = piece.done
            if done is not None:
                done = self._noted(cube, artifact, learnt, opening, done)
            yield piece if done is None else replace(piece, done=done)

    def _noted(
        self,
        cube: Cube,
        artifact: Artifact | None,
        learnt: Artifact | None,
        opening: Opening,
        done: Generated,
    ) -> Generated:
        """The answer with what it was given with, whose use is counted."""
        if learnt is not None:
            self._stores.artifacts.used(cube.id, learnt.id, hit=True, at=self._clock())
            done = replace(done, adapter=learnt.id)
        if artifact is not None:
            self._note_use(cube, artifact, opening, done)
            done = replace(done, activation=artifact.id)
        return done

    def _note_use(self, cube: Cube, artifact: Artifact, opening: Opening, done: Generated) -> None:
        hit = done.states == "loaded"
        self._stores.artifacts.used(cube.id, artifact.id, hit=hit, at=self._clock())
        if not hit or artifact.state is not State.ACTIVATED:
            kept = self._states.wait().warm(opening)
            if kept.stored < kept.tokens:
                # Evicted, damaged or never computed: the next use shall find it.
                self._stores.jobs.enqueue(
                    self._compiling.job(cube, artifact.id, adapter=opening.adapter)
                )
        self._foresee(cube, artifact)

    def _foresee(self, cube: Cube, used: Artifact) -> None:
        """After a cube's first use in this process: what is pinned, then what was used last, is
        likely to come next, and is brought near while nobody waits."""
        with self._lock:
            if cube.id in self._begun:
                return
            self._begun.add(cube.id)
        others = [
            row
            for row in self._compiling.rows(cube)
            if row.id != used.id and row.file and row.state is State.ACTIVATED
        ]
        others.sort(key=lambda row: (row.pinned, row.last_used_at or row.created_at), reverse=True)
        self._states.wait().prefetch([row.file for row in others[:_LIKELY] if row.file])


def _check_batch(prompts: Sequence[Messages]) -> None:
    if not prompts:
        raise InvalidInput("there is no prompt; give one or more", field="prompts")
    if len(prompts) > MOST_PROMPTS:
        raise BatchTooLarge(
            f"{len(prompts)} prompts in one batch; the limit is {MOST_PROMPTS}: send more batches",
            limit=MOST_PROMPTS,
        )
    for messages in prompts:
        check_messages(messages)
