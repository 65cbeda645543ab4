"""Activation memories: compiled from memories, used only while these are what was compiled.

The row of an activation memory is in SQL before any of its states are on disk, and what forgets a
memory queues the deletion of its states in the same transaction. Each use begins with a comparison
with the memories as they are now, so states that are out of date are never used, whether their
files are gone yet or not. Knows no model: that is `memos.protocols.LocalStates`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from memos.activation.opening import assembled
from memos.activation.selection import Selection, check_codec, check_guide, check_policy
from memos.config import Settings
from memos.errors import AdapterError, MemosError, NotFound, StateConflict
from memos.protocols import Clock, NewId, Stores, artifact_name, cube_name, memory_name
from memos.service import cursors
from memos.service.activation.compiling import Compiling, guide_of, sources_of, stale
from memos.service.activation.refreshing import Refreshing
from memos.service.local_model.carried import carried, named
from memos.service.local_model.choosing import Chooser
from memos.service.local_model.late_states import LateStates
from memos.service.parametric.adapters import Adapters
from memos.types import (
    Activation,
    ActivationStats,
    Artifact,
    ArtifactSource,
    Cube,
    Memory,
    Page,
    State,
    Substrate,
)
from memos.validation import check_limit, check_text

log = logging.getLogger(__name__)


class Activations:
    """Of all tenants; callers hand in a cube they may use."""

    def __init__(
        self,
        stores: Stores,
        chooser: Chooser,
        states: LateStates,
        adapters: Adapters,
        settings: Settings,
        *,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._stores = stores
        self._chooser = chooser
        self._states = states
        self._adapters = adapters
        self._settings = settings
        self._clock = clock
        self.compiling = Compiling(stores, states, settings, clock=clock)
        self.refreshing = Refreshing(stores, states, self.compiling, clock=clock)
        self._new_id = new_id

    def compile(
        self,
        cube: Cube,
        wanted: Selection,
        *,
        name: str,
        codec: str | None,
        policy: str | None,
        guide: str | None,
        pinned: bool,
        wait: bool,
        actor: str | None,
    ) -> Activation:
        """With `wait` its states are stored when it returns; else a job does that."""
        wanted.check(self._settings)
        check_text("name", name)
        codec = check_codec(self.compiling.codec(cube) if codec is None else codec)
        check_policy(policy)
        check_guide(policy, guide, self._settings)
        chosen, left = self._chooser.chosen(cube, wanted)
        now = self._clock()
        artifact = Artifact(
            id=self._new_id(),
            cube_id=cube.id,
            substrate=Substrate.ACTIVATION,
            name=name,
            state=State.GENERATED,
            reason=None,
            sources=sources_of(chosen),
            system=wanted.system or "",
            own_text=wanted.text or "",
            model="",
            fingerprint={},
            root=None,
            file=None,
            tokens=0,
            bytes=0,
            codec=codec,
            policy=policy,
            pinned=pinned,
            hits=0,
            last_used_at=None,
            created_at=now,
            updated_at=now,
            actor=actor,
            detail={"guide": guide} if guide is not None else {},
        )
        if wait:
            self._states.wait().model  # noqa: B018  # its errors before there is a row
            self._stores.artifacts.add(artifact)
            artifact = self._first(cube, artifact, chosen)
        else:
            jobs = self._stores.artifacts.add(
                artifact, jobs=[self.compiling.job(cube, artifact.id)]
            )
            artifact = replace(artifact, job_id=jobs[0])
        text = assembled(artifact.system, chosen, artifact.own_text)
        return replace(_shown(artifact, text), left_out=tuple(m.id for m in left))

    def page(self, cube: Cube, *, cursor: str | None, limit: int) -> Page[Activation]:
        check_limit("limit", limit, self._settings)
        listing = f"activations {cube.id}"
        after = cursors.decode(listing, cursor) if cursor else None
        rows = self._stores.artifacts.page(
            cube.id, Substrate.ACTIVATION, after=after, limit=limit + 1
        )
        more = len(rows) > limit
        return Page(
            items=tuple(_shown(row, None) for row in rows[:limit]),
            next_cursor=cursors.encode(listing, rows[limit - 1].id) if more else None,
        )

    def get(self, cube: Cube, id: str) -> Activation:
        """With its text as it was compiled. ActivationNotFound."""
        artifact = self._stores.artifacts.get(cube.id, id)
        memories = self.compiling.memories(artifact)
        text = None
        if memories is not None:
            text = assembled(artifact.system, memories, artifact.own_text)
        return _shown(artifact, text)

    def warm(self, cube: Cube, id: str) -> Activation:
        """Computes what is missing of its states and brings all of them near."""
        artifact = self.refreshing.usable(cube, id, refresh=False)
        memories = self.compiling.compiled(artifact)
        kept = self._states.wait().warm(self.compiling.opening(cube, artifact, memories))
        if artifact.state is not State.ACTIVATED or kept.stored < kept.tokens:
            self.compiling.compute(cube, artifact, memories)
        return self.get(cube, id)

    def pin(self, cube: Cube, id: str, *, pinned: bool) -> Activation:
        """Pinned states are not evicted for others; what was evicted is computed again first."""
        artifact = self._stores.artifacts.get(cube.id, id)
        if pinned and artifact.state is State.EXPIRED:
            raise stale(artifact)
        self._stores.artifacts.pin(cube.id, id, pinned=pinned)
        if artifact.file is None:
            return self.get(cube, id)  # once it is computed
        if not pinned:
            self.compiling.unpin(cube, artifact)
        elif not self._states.wait().pin(artifact.file, pinned=True):
            self.compiling.compute(cube, artifact, self.compiling.compiled(artifact))
        return self.get(cube, id)

    def drop(self, cube: Cube, id: str) -> None:
        """The row at once, its states right after; a job does that where this fails."""
        self._stores.artifacts.remove(cube.id, id)
        self.forget([artifact_name(id)])

    def stats(self, cube: Cube) -> ActivationStats:
        rows = list(self.compiling.rows(cube))
        return ActivationStats(
            activations=len(rows),
            by_state=dict(Counter(row.state.value for row in rows)),
            pinned=sum(row.pinned for row in rows),
            tokens=sum(row.tokens for row in rows),
            bytes=sum(row.bytes for row in rows),
            hits=sum(row.hits for row in rows),
        )

    def compute(self, cube: Cube, id: str, *, adapter: str | None = None) -> None:
        """What the job does; nothing if it is stale or gone."""
        artifact = self._stores.artifacts.get(cube.id, id)
        if artifact.state is State.EXPIRED:
            return
        if adapter is None:
            self.compiling.compute(cube, artifact, self.compiling.compiled(artifact))
            return
        try:
            learnt = self._adapters.at_work(cube, adapter)
        except (AdapterError, NotFound, StateConflict):
            return  # it is out of work: nobody asks for its states
        opening = self.compiling.opening(
            cube, artifact, self.compiling.compiled(artifact), learnt.file if learnt else None
        )
        sources = carried(cube, artifact)
        sources += [ArtifactSource(memory_id=artifact_name(adapter), version=1)]
        sources += named(cube, learnt.sources) if learnt else ()
        self._states.wait().compile(opening, sources)

    def forget(self, sources: Sequence[str]) -> None:
        """Deletes states now rather than when the job comes round, which was queued with it."""
        if not self.any_files:
            return
        try:
            self._states.wait().forget(sources)
        except (MemosError, OSError) as error:
            log.warning("states that were forgotten wait for the job that deletes them: %s", error)

    def forget_source(self, cube: Cube, memory_id: str) -> None:
        """After a memory was forgotten: its states, if it was ever compiled."""
        if self.any_files and self._stores.artifacts.compiled(cube.id, memory_id):
            self.forget([memory_name(cube.id, memory_id)])

    def forget_cube(self, cube_id: str) -> None:
        """After a cube was deleted."""
        self.forget([cube_name(cube_id)])

    @property
    def any_files(self) -> bool:
        """Whether there can be states at all."""
        folders = (self._settings.data_dir / "kv", self._settings.data_dir / "lora")
        return bool(self._settings.kv_remote) or any(folder.exists() for folder in folders)

    def _first(self, cube: Cube, artifact: Artifact, memories: Sequence[Memory]) -> Artifact:
        """The first computation; nothing is left of it if it fails."""
        try:
            return self.compiling.compute(cube, artifact, memories)
        except BaseException:
            self.drop(cube, artifact.id)
            raise


def _shown(artifact: Artifact, text: str | None) -> Activation:
    names = set(Activation.__dataclass_fields__) - {"text", "guide", "left_out"}
    own = {name: getattr(artifact, name) for name in names}
    return Activation(**own, text=text, guide=guide_of(artifact))
