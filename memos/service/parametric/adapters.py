"""Parametric memories: distilled from memories, used only while these are what was learnt.

The row of an adapter is in SQL before its file, and what forgets a memory takes every adapter that
learnt of it out of work in the same transaction, for good: what is in weights can't be taken out of
them. A new one takes the place of the old only when it is trained, judged and stored, so whatever
goes wrong leaves the old one at work. Knows no model: that is `memos.protocols.AdapterStore`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
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
    ModelUnsupported,
    StateConflict,
)
from memos.graph.resolving.names import normal
from memos.parametric.naming import asked, is_named, mentions, phrases
from memos.parametric.request import Distilling, Merging
from memos.protocols import Clock, NewId, Rephraser, Stores
from memos.scheduler import JobContext
from memos.service import cursors
from memos.service.local_model.late_states import LateStates
from memos.service.parametric import rows
from memos.service.parametric.learning import Learning
from memos.service.parametric.making import Making, Told
from memos.types import (
    LIVE,
    Adapter,
    Artifact,
    Cube,
    Memory,
    NewJob,
    Page,
    Recipe,
    State,
    Substrate,
)
from memos.validation import check_limit
from memos.wire import from_builtins

log = logging.getLogger(__name__)

DISTILL = "lora_distill"


class Adapters:
    """Of all tenants; callers hand in a cube they may use."""

    def __init__(
        self,
        stores: Stores,
        learning: Learning,
        states: LateStates,
        settings: Settings,
        *,
        rephraser: Rephraser | None = None,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._stores = stores
        self._rows = rows.Rows(stores)
        self._making = Making(stores, learning, states, settings, rephraser=rephraser, clock=clock)
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
        artifact = self._row(cube, wanted, memories, actor, parent=before.id if before else None)
        return replace(self._made(cube, artifact, memories, wait=wait), chosen=chosen)

    def merge(self, cube: Cube, wanted: Merging, *, wait: bool, actor: str | None) -> Adapter:
        """Of adapters of the cube, as distil does of memories: those that it is made of stay."""
        wanted.check()
        parts = [self._rows.usable(cube, id) for id in wanted.adapters]
        present = {memory.id: memory for one in parts for memory in self._rows.present(cube, one)}
        memories = canonical(list(present.values()))
        artifact = self._row(cube, wanted, memories, actor, merged=wanted.detail)
        return self._made(cube, artifact, memories, wait=wait)

    def _made(
        self, cube: Cube, artifact: Artifact, memories: Sequence[Memory], *, wait: bool
    ) -> Adapter:
        if not wait:
            jobs = self._stores.artifacts.add(artifact, jobs=[self.job(cube, artifact.id)])
            return rows.shown(replace(artifact, job_id=jobs[0]))
        # What can't be learnt is told before there is a row.
        self._learning.training_set(cube, memories, when=rows.when(artifact))
        self._stores.artifacts.add(artifact)
        try:
            self.compute(cube, artifact.id)
        except BaseException:
            self.drop(cube, artifact.id)
            raise
        return self.get(cube, artifact.id)

    def _row(
        self,
        cube: Cube,
        wanted: Distilling | Merging,
        memories: Sequence[Memory],
        actor: str | None,
        *,
        parent: str | None = None,
        merged: Mapping[str, Any] | None = None,
    ) -> Artifact:
        versions = [rows.version(row) for row in self._rows.all(cube) if row.name == wanted.name]
        return rows.new(
            self._new_id(),
            cube.id,
            wanted.name,
            memories,
            now=self._clock(),
            codec=self._settings.lora_codec,
            actor=actor,
            detail={
                "version": max(versions, default=0) + 1,
                "parent": parent,
                "recipe": asdict(wanted.recipe),
                "attach": wanted.attach,
                "when": wanted.when,
                **({"merged": dict(merged)} if merged is not None else {}),
            },
        )

    def page(self, cube: Cube, *, cursor: str | None, limit: int) -> Page[Adapter]:
        check_limit("limit", limit, self._settings)
        listing = f"adapters {cube.id}"
        after = cursors.decode(listing, cursor) if cursor else None
        found = self._stores.artifacts.page(
            cube.id, Substrate.PARAMETRIC, after=after, limit=limit + 1
        )
        more = len(found) > limit
        return Page(
            items=tuple(rows.shown(row) for row in found[:limit]),
            next_cursor=cursors.encode(listing, found[limit - 1].id) if more else None,
        )

    def get(self, cube: Cube, id: str) -> Adapter:
        """AdapterNotFound."""
        return rows.shown(self._rows.one(cube, id))

    def evaluate(self, cube: Cube, id: str) -> Adapter:
        """Asks it again what it learnt, and looks again at what it should leave alone."""
        artifact = self._rows.usable(cube, id)
        memories = self._rows.present(cube, artifact)
        made = self._learning.training_set(cube, memories, when=rows.when(artifact))
        found = self._states.wait().adapters.evaluate(artifact.file or "", made, self._making.gate)
        self._making.put(artifact, report=found)
        return self.get(cube, id)

    def attach(self, cube: Cube, id: str) -> Adapter:
        """All answers of the cube are given with it from here on. The one before stays at work if
        this one can't be: AdapterRefused, AdapterCorrupt, AdapterMismatch, StateConflict."""
        artifact = self._rows.usable(cube, id)
        self._states.wait().adapters.check(artifact.file or "")
        self._stores.artifacts.attach(cube.id, artifact.id)
        return self.get(cube, id)

    def detach(self, cube: Cube, id: str) -> Adapter:
        """Nothing happens if it is not attached."""
        if self._rows.one(cube, id).attached:
            self._stores.artifacts.attach(cube.id, None)
        return self.get(cube, id)

    def rollback(self, cube: Cube, id: str) -> Adapter:
        """Attaches the newest version before `id` of the same name that can be used."""
        artifact = self._rows.one(cube, id)
        version = rows.version(artifact)
        older = [
            row
            for row in self._rows.all(cube)
            if row.name == artifact.name and rows.version(row) < version and rows.ready(row)
        ]
        if not older:
            raise StateConflict(
                f"adapter {artifact.name!r} has no version before {version} that can be used; "
                "detach it to answer without one",
                adapter_id=id,
            )
        return self.attach(cube, max(older, key=rows.version).id)

    def drop(self, cube: Cube, id: str) -> None:
        """The row at once, its file right after; a job does that where this fails. A training that
        runs for it ends."""
        artifact = self._rows.one(cube, id)
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
            return self._rows.usable(cube, asked_for)
        found = self._stores.artifacts.attached(cube.id)
        if found is None or rows.when(found) == "always":
            return found
        salt = self._stores.artifacts.salt(cube.tenant_id)
        known, texts = found.detail.get("keys", ()), asked(messages)
        if mentions(texts, known, salt) or self._by_alias(cube, texts, known, salt):
            return found
        return None

    def _by_alias(
        self, cube: Cube, texts: Sequence[str], known: Sequence[str], salt: bytes
    ) -> bool:
        """Whether something known is meant by another name that it goes by now."""
        wanted = sorted({normal(phrase) for phrase in phrases(texts)})
        meant = self._stores.graph.by_alias(cube.id, wanted)
        return is_named((one.name for some in meant.values() for one in some), known, salt)

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
        except (AdapterError, InvalidInput, ModelUnsupported, StateConflict) as error:
            self._fail(cube, id, f"{error.code}: {error.message}")
        except AdapterNotFound:  # dropped meanwhile
            self._states.wait().adapters.remove(id)

    def compute(self, cube: Cube, id: str, *, told: Told = lambda share, recall: None) -> None:
        """Makes, judges, stores and attaches it. AdapterRefused if it does not pass."""
        if self._making.make(cube, id, told) and self._rows.one(cube, id).detail.get("attach"):
            self.attach(cube, id)

    def retrain(self, cube: Cube, id: str) -> Adapter | None:
        """After a memory was forgotten or changed: one of those that are left and may be learnt, of
        the same name and recipe, is trained and attached; None if there is none, or the settings
        want none."""
        old = self._rows.one(cube, id)
        if self._settings.lora_forgotten != "retrain":
            return None
        present = self._stores.memories.get(cube.id, [s.memory_id for s in old.sources])
        live = [memory for memory in present.values() if memory.state in LIVE]
        left = self._learning.learnable(cube, live)
        if not left:
            return None
        recipe = from_builtins(old.detail["recipe"], Recipe)
        wanted = Distilling(
            memories=tuple(left), name=old.name, attach=True, recipe=recipe, when=rows.when(old)
        )
        try:
            return self.distill(cube, wanted, wait=False, actor=old.actor)
        except InvalidInput as error:  # as would be the next time
            log.warning("nothing is trained in place of adapter %s: %s", id, error)
            return None

    @property
    def any_files(self) -> bool:
        """Whether there can be adapters at all."""
        return (self._settings.data_dir / "lora").exists()

    def _parameters(self, recipe: Recipe) -> int:
        return self._settings.lora_parameters * recipe.rank // Recipe().rank

    def _before(self, cube: Cube, wanted: Distilling) -> Artifact | None:
        if wanted.begin is None:
            return None
        return self._rows.usable(cube, wanted.begin)

    def _with_former(self, cube: Cube, before: Artifact, new: Sequence[Memory]) -> list[Memory]:
        return canonical([*self._rows.present(cube, before), *new])

    def _fail(self, cube: Cube, id: str, reason: str) -> None:
        log.warning("adapter %s was not made: %s", id, reason)
        self._states.wait().adapters.remove(id)
        try:
            artifact = self._rows.one(cube, id)
            if artifact.state is State.GENERATED:
                self._stores.artifacts.put(
                    replace(artifact, state=State.ARCHIVED, reason=reason, updated_at=self._clock())
                )
        except MemosError as error:  # gone, or stale, which says more
            log.info("adapter %s: %s", id, error)


def _beat(context: JobContext, share: float) -> None:
    context.beat(min(share, 1.0))
    context.check_stop()
