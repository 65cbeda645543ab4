"""Parametric memories: distilled from memories, used only while these are what was learnt.

The row of an adapter is in SQL before its file, and what forgets a memory takes every adapter that
learnt of it out of work in the same transaction, for good: what is in weights can't be taken out of
them. A new one takes the place of the old only when it is trained, judged and stored, so whatever
goes wrong leaves the old one at work. Knows no model: that is `memos.protocols.AdapterStore`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from memos.activation.opening import canonical
from memos.config import Settings
from memos.errors import (
    AdapterError,
    AdapterNotFound,
    AdapterRefused,
    InvalidInput,
    MemosError,
    StateConflict,
)
from memos.parametric.naming import asked, mentions
from memos.parametric.request import Distilling
from memos.protocols import Clock, NewId, Stores
from memos.scheduler import JobContext
from memos.service import cursors
from memos.service.carried import carried
from memos.service.late_states import LateStates
from memos.service.learning import Learning
from memos.types import (
    LIVE,
    Adapter,
    AdapterReport,
    Artifact,
    ArtifactSource,
    Cube,
    Gate,
    Memory,
    NewJob,
    Page,
    Recipe,
    State,
    Substrate,
    Trained,
)
from memos.validation import check_limit
from memos.wire import from_builtins, to_builtins

log = logging.getLogger(__name__)

DISTILL = "lora_distill"
_PART = 256
_LOOK_SECONDS = 2.0
"""How often a training asks whether it is still wanted."""

Told = Callable[[float, float | None], None]


class Adapters:
    """Of all tenants; callers hand in a cube they may use."""

    def __init__(
        self,
        stores: Stores,
        learning: Learning,
        states: LateStates,
        settings: Settings,
        *,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._stores = stores
        self._learning = learning
        self._states = states
        self._settings = settings
        self._clock = clock
        self._new_id = new_id

    def distill(self, cube: Cube, wanted: Distilling, *, wait: bool, actor: str | None) -> Adapter:
        """With `wait` it is trained and judged when it returns; else a job does that."""
        wanted.check(self._settings)
        before = self._before(cube, wanted)
        memories, chosen = self._learning.chosen(
            cube, wanted, parameters=self._parameters(wanted.recipe)
        )
        if before is not None:
            memories = self._with_former(cube, before, memories)
        artifact = self._row(cube, wanted, memories, before, actor)
        if not wait:
            jobs = self._stores.artifacts.add(artifact, jobs=[self.job(cube, artifact.id)])
            return replace(self._shown(cube, replace(artifact, job_id=jobs[0])), chosen=chosen)
        # What can't be learnt is told before there is a row.
        self._learning.training_set(cube, memories, when=wanted.when, seed=wanted.recipe.seed)
        self._stores.artifacts.add(artifact)
        try:
            self.compute(cube, artifact.id)
        except BaseException:
            self.drop(cube, artifact.id)
            raise
        return replace(self.get(cube, artifact.id), chosen=chosen)

    def page(self, cube: Cube, *, cursor: str | None, limit: int) -> Page[Adapter]:
        check_limit("limit", limit, self._settings)
        listing = f"adapters {cube.id}"
        after = cursors.decode(listing, cursor) if cursor else None
        rows = self._stores.artifacts.page(
            cube.id, Substrate.PARAMETRIC, after=after, limit=limit + 1
        )
        more = len(rows) > limit
        return Page(
            items=tuple(self._shown(cube, row) for row in rows[:limit]),
            next_cursor=cursors.encode(listing, rows[limit - 1].id) if more else None,
        )

    def get(self, cube: Cube, id: str) -> Adapter:
        """AdapterNotFound."""
        return self._shown(cube, self._one(cube, id))

    def evaluate(self, cube: Cube, id: str) -> Adapter:
        """Asks it again what it learnt, and looks again at what it should leave alone."""
        artifact = self._usable(cube, id)
        memories = self._present(cube, artifact)
        made = self._learning.training_set(cube, memories, when=_when(artifact))
        found = self._states.wait().adapters.evaluate(artifact.file or "", made, self._gate)
        self._put(artifact, report=found)
        return self.get(cube, id)

    def attach(self, cube: Cube, id: str) -> Adapter:
        """All answers of the cube are given with it from here on. The one before stays at work if
        this one can't be: AdapterRefused, AdapterCorrupt, AdapterMismatch, StateConflict."""
        artifact = self._usable(cube, id)
        self._states.wait().adapters.check(artifact.file or "")
        self._stores.artifacts.attach(cube.id, artifact.id)
        return self.get(cube, id)

    def detach(self, cube: Cube, id: str) -> Adapter:
        """Nothing happens if it is not attached."""
        if self._one(cube, id).attached:
            self._stores.artifacts.attach(cube.id, None)
        return self.get(cube, id)

    def rollback(self, cube: Cube, id: str) -> Adapter:
        """Attaches the newest version before `id` of the same name that can be used."""
        artifact = self._one(cube, id)
        version = _version(artifact)
        older = [
            row
            for row in self._all(cube)
            if row.name == artifact.name and _version(row) < version and _ready(row)
        ]
        if not older:
            raise StateConflict(
                f"adapter {artifact.name!r} has no version before {version} that can be used; "
                "detach it to answer without one",
                adapter_id=id,
            )
        return self.attach(cube, max(older, key=_version).id)

    def drop(self, cube: Cube, id: str) -> None:
        """The row at once, its file right after; a job does that where this fails. A training that
        runs for it ends."""
        artifact = self._one(cube, id)
        self._stores.artifacts.remove(cube.id, id)
        if artifact.file is None and not self.any_files:
            return
        try:
            self._states.wait().adapters.remove(id)
        except MemosError as error:
            log.warning("the file of adapter %s waits for the job that deletes it: %s", id, error)

    def at_work(
        self, cube: Cube, asked_for: str | None, messages: Sequence[Mapping[str, str]] = ()
    ) -> Artifact | None:
        """The adapter to answer with: the one that is asked for by its id; none for "none"; else
        the one that is attached, if the messages name something that it knows of. A stale one that
        is asked for is a StateConflict."""
        if asked_for == "none":
            return None
        if asked_for is not None:
            return self._usable(cube, asked_for)
        found = self._stores.artifacts.attached(cube.id)
        if found is None or _when(found) == "always":
            return found
        salt = self._stores.artifacts.salt(cube.tenant_id)
        known = found.detail.get("keys", ())
        return found if mentions(asked(messages), known, salt) else None

    def job(self, cube: Cube, id: str) -> NewJob:
        return NewJob(
            tenant_id=cube.tenant_id,
            cube_id=cube.id,
            kind=DISTILL,
            payload={"adapter_id": id},
            dedupe_key=f"{DISTILL}:{id}",
            max_attempts=self._settings.job_attempts,
        )

    def run(self, cube: Cube, id: str, context: JobContext) -> None:
        """What the job does. What would go wrong again is written into the row, and the job is
        done; what may go better, such as a full disk, is left to the queue."""
        try:
            self.compute(cube, id, told=lambda share, _: _beat(context, share))
        except AdapterRefused:
            return  # the row has it, with the report
        except (AdapterError, InvalidInput, StateConflict) as error:
            self._fail(cube, id, f"{error.code}: {error.message}")
        except AdapterNotFound:  # dropped meanwhile
            self._states.wait().adapters.remove(id)

    def compute(self, cube: Cube, id: str, *, told: Told = lambda share, recall: None) -> None:
        """Trains, judges, stores and attaches. AdapterRefused if it does not pass."""
        artifact = self._one(cube, id)
        if artifact.state is State.EXPIRED:
            raise _stale(artifact)
        if artifact.state is not State.GENERATED:
            return
        recipe = from_builtins(artifact.detail["recipe"], Recipe)
        memories = self._present(cube, artifact)
        begin = self._begin(cube, artifact)
        made = self._learning.training_set(
            cube, memories, when=_when(artifact), seed=recipe.seed, begin=begin
        )
        states = self._states.wait()
        done = states.adapters.train(
            id,
            made,
            recipe,
            self._gate,
            carried(cube, artifact),
            told=self._watched(cube, id, told),
        )
        keys = self._learning.keys(cube, memories)
        self._store(cube, artifact, done, keys, examples=len(made.examples))
        if done.report.refused is not None:
            raise AdapterRefused(
                f"adapter {id} may not be used: {done.report.refused}; give more or other "
                "memories, another recipe, or another gate",
                adapter_id=id,
                report=to_builtins(done.report),
            )
        if artifact.detail.get("attach"):
            self.attach(cube, id)

    def retrain(self, cube: Cube, id: str) -> Adapter | None:
        """After a memory was forgotten: one without it, of the same name and recipe, is trained and
        attached; None if nothing is left to learn, or the settings want none."""
        old = self._one(cube, id)
        if self._settings.lora_forgotten != "retrain":
            return None
        present = self._stores.memories.get(cube.id, [s.memory_id for s in old.sources])
        live = [memory.id for memory in present.values() if memory.state in LIVE]
        if not live:
            return None
        recipe = from_builtins(old.detail["recipe"], Recipe)
        wanted = Distilling(
            memories=tuple(live), name=old.name, attach=True, recipe=recipe, when=_when(old)
        )
        return self.distill(cube, wanted, wait=False, actor=old.actor)

    @property
    def any_files(self) -> bool:
        """Whether there can be adapters at all."""
        return (self._settings.data_dir / "lora").exists()

    @property
    def _gate(self) -> Gate:
        chosen = self._settings
        return Gate(
            recall=chosen.lora_recall,
            perplexity=chosen.lora_perplexity,
            unchanged=chosen.lora_unchanged,
            harm=chosen.lora_harm,
        )

    def _parameters(self, recipe: Recipe) -> int:
        return self._settings.lora_parameters * recipe.rank // Recipe().rank

    def _before(self, cube: Cube, wanted: Distilling) -> Artifact | None:
        if wanted.begin is None:
            return None
        return self._usable(cube, wanted.begin)

    def _with_former(self, cube: Cube, before: Artifact, new: Sequence[Memory]) -> list[Memory]:
        return canonical([*self._present(cube, before), *new])

    def _row(
        self,
        cube: Cube,
        wanted: Distilling,
        memories: Sequence[Memory],
        before: Artifact | None,
        actor: str | None,
    ) -> Artifact:
        now = self._clock()
        versions = [_version(row) for row in self._all(cube) if row.name == wanted.name]
        return Artifact(
            id=self._new_id(),
            cube_id=cube.id,
            substrate=Substrate.PARAMETRIC,
            name=wanted.name,
            state=State.GENERATED,
            reason=None,
            sources=tuple(ArtifactSource(memory_id=m.id, version=m.version) for m in memories),
            system="",
            own_text="",
            model="",
            fingerprint={},
            root=None,
            file=None,
            tokens=0,
            bytes=0,
            codec=self._settings.lora_codec,
            policy=None,
            pinned=False,
            hits=0,
            last_used_at=None,
            created_at=now,
            updated_at=now,
            actor=actor,
            detail={
                "version": max(versions, default=0) + 1,
                "parent": before.id if before is not None else None,
                "recipe": asdict(wanted.recipe),
                "attach": wanted.attach,
                "when": wanted.when,
            },
        )

    def _begin(self, cube: Cube, artifact: Artifact) -> str | None:
        parent = artifact.detail.get("parent")
        return self._usable(cube, parent).file if parent else None

    def _watched(self, cube: Cube, id: str, told: Told) -> Told:
        """Also ends a training whose adapter was dropped or has become stale."""
        last = [time.monotonic()]

        def watch(share: float, recall: float | None) -> None:
            told(share, recall)
            if time.monotonic() - last[0] >= _LOOK_SECONDS:
                last[0] = time.monotonic()
                artifact = self._one(cube, id)
                if artifact.state is State.EXPIRED:
                    raise _stale(artifact)

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
            self._put(
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

    def _put(
        self,
        artifact: Artifact,
        *,
        report: AdapterReport,
        extra: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> None:
        detail = {**artifact.detail, "report": to_builtins(report), **(extra or {})}
        self._stores.artifacts.put(
            replace(artifact, detail=detail, updated_at=self._clock(), **changes)
        )

    def _fail(self, cube: Cube, id: str, reason: str) -> None:
        log.warning("adapter %s was not made: %s", id, reason)
        self._states.wait().adapters.remove(id)
        try:
            artifact = self._one(cube, id)
            if artifact.state is State.GENERATED:
                self._stores.artifacts.put(
                    replace(artifact, state=State.ARCHIVED, reason=reason, updated_at=self._clock())
                )
        except MemosError as error:  # gone, or stale, which says more
            log.info("adapter %s: %s", id, error)

    def _one(self, cube: Cube, id: str) -> Artifact:
        return self._stores.artifacts.get(cube.id, id, Substrate.PARAMETRIC)

    def _usable(self, cube: Cube, id: str) -> Artifact:
        artifact = self._one(cube, id)
        if artifact.state is State.EXPIRED:
            raise _stale(artifact)
        if artifact.state is State.ARCHIVED:
            raise AdapterRefused(f"adapter {id} may not be used: {artifact.reason}", adapter_id=id)
        if artifact.file is None:
            raise StateConflict(
                f"adapter {id} has no file: {artifact.reason or 'it is not trained yet'}",
                adapter_id=id,
                state=artifact.state.value,
            )
        return artifact

    def _present(self, cube: Cube, artifact: Artifact) -> list[Memory]:
        """The sources, which are what they were: the row is not stale."""
        present = self._stores.memories.get(cube.id, [s.memory_id for s in artifact.sources])
        return [present[s.memory_id] for s in artifact.sources if s.memory_id in present]

    def _all(self, cube: Cube) -> Iterator[Artifact]:
        after = None
        while rows := self._stores.artifacts.page(
            cube.id, Substrate.PARAMETRIC, after=after, limit=_PART
        ):
            yield from rows
            after = rows[-1].id

    def _shown(self, cube: Cube, row: Artifact) -> Adapter:
        detail = row.detail
        report = detail.get("report")
        return Adapter(
            id=row.id,
            cube_id=row.cube_id,
            name=row.name,
            version=_version(row),
            state=row.state,
            reason=row.reason,
            attached=row.attached,
            when=_when(row),
            parent=detail.get("parent"),
            sources=row.sources,
            model=row.model,
            fingerprint=row.fingerprint,
            digest=row.root,
            rank=int(detail.get("rank", detail.get("recipe", {}).get("rank", 0))),
            parameters=int(detail.get("parameters", 0)),
            examples=int(detail.get("examples", 0)),
            tokens=row.tokens,
            bytes=row.bytes,
            seconds=float(detail.get("seconds", 0.0)),
            hits=row.hits,
            last_used_at=row.last_used_at,
            report=None if report is None else from_builtins(report, AdapterReport),
            created_at=row.created_at,
            updated_at=row.updated_at,
            actor=row.actor,
            job_id=row.job_id,
        )


def _beat(context: JobContext, share: float) -> None:
    context.beat(min(share, 1.0))
    context.check_stop()


def _version(row: Artifact) -> int:
    return int(row.detail.get("version", 1))


def _when(row: Artifact) -> str:
    return str(row.detail.get("when", "named"))


def _ready(row: Artifact) -> bool:
    return row.state is State.ACTIVATED and row.file is not None


def _stale(artifact: Artifact) -> StateConflict:
    return StateConflict(
        f"adapter {artifact.id} is stale: {artifact.reason}. Distill it again to learn what is "
        "there now",
        adapter_id=artifact.id,
        state=artifact.state.value,
        reason=artifact.reason,
    )
