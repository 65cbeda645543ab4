"""Activation memories: compiled from memories, used only while these are what was compiled.

The row of an activation memory is in SQL before any of its states are on disk, and what forgets a
memory queues the deletion of its states in the same transaction. Each use begins with a comparison
with the memories as they are now, so states that are out of date are never used, whether their
files are gone yet or not. Knows no model: that is `memos.protocols.LocalStates`.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from memos.activation.opening import assembled, canonical
from memos.activation.prompts import check_messages
from memos.activation.selection import Selection, check_codec, check_policy
from memos.config import Settings
from memos.errors import (
    AdapterError,
    FingerprintMismatch,
    MemosError,
    NotFound,
    StateConflict,
)
from memos.protocols import Clock, NewId, Stores, artifact_name, cube_name, memory_name
from memos.service import cursors
from memos.service.adapters import Adapters
from memos.service.carried import carried, named
from memos.service.choosing import Chooser
from memos.service.compiling import Compiling, sources_of, stale
from memos.service.late_states import LateStates
from memos.types import (
    LIVE,
    Activation,
    ActivationStats,
    Artifact,
    ArtifactSource,
    Cube,
    Generated,
    Memory,
    Opening,
    Page,
    Piece,
    Prompting,
    State,
    Substrate,
)
from memos.validation import check_limit, check_text

log = logging.getLogger(__name__)

_PART = 256
_LIKELY = 8
"""Activation memories of a cube that are brought near when another one is used first."""


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
        self._begun: set[str] = set()
        self._lock = threading.Lock()
        self.compiling = Compiling(stores, states, settings, clock=clock)
        self._new_id = new_id

    def compile(
        self,
        cube: Cube,
        wanted: Selection,
        *,
        name: str,
        codec: str | None,
        policy: str | None,
        pinned: bool,
        wait: bool,
        actor: str | None,
    ) -> Activation:
        """With `wait` its states are stored when it returns; else a job does that."""
        wanted.check(self._settings)
        check_text("name", name)
        codec = check_codec(self.compiling.codec(cube) if codec is None else codec)
        check_policy(policy)
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
        artifact = self._usable(cube, id, refresh=False)
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
            self._unpin(cube, artifact)
        elif not self._states.wait().pin(artifact.file, pinned=True):
            self.compiling.compute(cube, artifact, self.compiling.compiled(artifact))
        return self.get(cube, id)

    def drop(self, cube: Cube, id: str) -> None:
        """The row at once, its states right after; a job does that where this fails."""
        self._stores.artifacts.remove(cube.id, id)
        self.forget([artifact_name(id)])

    def stats(self, cube: Cube) -> ActivationStats:
        rows = list(self._all(cube))
        return ActivationStats(
            activations=len(rows),
            by_state=dict(Counter(row.state.value for row in rows)),
            pinned=sum(row.pinned for row in rows),
            tokens=sum(row.tokens for row in rows),
            bytes=sum(row.bytes for row in rows),
            hits=sum(row.hits for row in rows),
        )

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
        artifact, memories = None, []
        if activation is not None:
            artifact = self._usable(cube, activation, refresh=refresh)
            memories = self.compiling.compiled(artifact)
        opening = self.compiling.opening(cube, artifact, memories, learnt.file if learnt else None)
        pieces = self._states.wait().stream(opening, messages, wanted)
        return self._told(cube, artifact, learnt, opening, pieces)

    def generate(self, *args: Any, **options: Any) -> Generated:
        """As `stream`, whole."""
        for piece in self.stream(*args, **options):
            if piece.done is not None:
                return piece.done
        raise MemosError("the local model's answer had no end; this is a fault of memos")

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
        except MemosError as error:
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

    def _usable(self, cube: Cube, id: str, *, refresh: bool) -> Artifact:
        """Not stale, and of this model; with `refresh` it is made so."""
        artifact = self._stores.artifacts.get(cube.id, id)
        if artifact.state is State.EXPIRED:
            if not refresh:
                raise stale(artifact)
            return self._refreshed(cube, artifact)
        if artifact.fingerprint and artifact.fingerprint != self._states.wait().model.fingerprint:
            if not refresh:
                raise self._of_another(artifact)
            return self._refreshed(cube, artifact)
        return artifact

    def _of_another(self, artifact: Artifact) -> FingerprintMismatch:
        model = self._states.wait().model
        parts = [
            name
            for name in sorted({*artifact.fingerprint, *model.fingerprint})
            if artifact.fingerprint.get(name) != model.fingerprint.get(name)
        ]
        return FingerprintMismatch(
            f"activation memory {artifact.id} was made by {artifact.model}, and this service runs "
            f"{model.id}; they differ in {', '.join(parts)}. Set local_model back, or refresh it",
            activation_id=artifact.id,
            made_by=artifact.model,
            runs=model.id,
            parts=parts,
        )

    def _refreshed(self, cube: Cube, old: Artifact) -> Artifact:
        """Compiled anew from those sources that are activated, in their present versions."""
        present = self._stores.memories.get(cube.id, [s.memory_id for s in old.sources])
        now = self._clock()
        live = canonical(
            [
                m
                for m in present.values()
                if m.state in LIVE and (m.expires_at is None or m.expires_at > now)
            ]
        )
        if not live and not old.system and not old.own_text:
            raise StateConflict(
                f"activation memory {old.id} can't be refreshed: all that it was compiled from is "
                "forgotten; restore it or compile something else",
                activation_id=old.id,
            )
        if old.pinned:
            self._unpin(cube, old)
        if len(live) < len(old.sources):
            # From here on nothing would tell that these states are of a memory that is left out.
            self._states.wait().forget([artifact_name(old.id)])
        anew = replace(
            old, state=State.GENERATED, reason=None, sources=sources_of(live), file=None, root=None
        )
        self._stores.artifacts.put(anew)
        return self.compiling.compute(cube, anew, live)

    def _first(self, cube: Cube, artifact: Artifact, memories: Sequence[Memory]) -> Artifact:
        """The first computation; nothing is left of it if it fails."""
        try:
            return self.compiling.compute(cube, artifact, memories)
        except BaseException:
            self.drop(cube, artifact.id)
            raise

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
            if done is not None and learnt is not None:
                self._stores.artifacts.used(cube.id, learnt.id, hit=True, at=self._clock())
                done = replace(done, adapter=learnt.id)
            if done is not None and artifact is not None:
                self._note_use(cube, artifact, opening, done)
                done = replace(done, activation=artifact.id)
            yield piece if done is None else replace(piece, done=done)

    def _note_use(self, cube: Cube, artifact: Artifact, opening: Opening, done: Generated) -> None:
        hit = done.states == "loaded"
        self._stores.artifacts.used(cube.id, artifact.id, hit=hit, at=self._clock())
        if not hit or artifact.state is not State.ACTIVATED:
            kept = self._states.wait().warm(opening)
            if kept.stored < kept.tokens:
                # Evicted, damaged or never computed: the next use shall find it.
                self._stores.jobs.enqueue(
                    self.compiling.job(cube, artifact.id, adapter=opening.adapter)
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
            for row in self._all(cube)
            if row.id != used.id and row.file and row.state is State.ACTIVATED
        ]
        others.sort(key=lambda row: (row.pinned, row.last_used_at or row.created_at), reverse=True)
        self._states.wait().prefetch([row.file for row in others[:_LIKELY] if row.file])

    def _unpin(self, cube: Cube, artifact: Artifact) -> None:
        """Lets its last block go, unless another pinned one of the cube ends in it."""
        others = (row for row in self._all(cube) if row.pinned and row.id != artifact.id)
        if artifact.file and all(row.file != artifact.file for row in others):
            self._states.wait().pin(artifact.file, pinned=False)

    def _all(self, cube: Cube) -> Iterator[Artifact]:
        after = None
        while rows := self._stores.artifacts.page(
            cube.id, Substrate.ACTIVATION, after=after, limit=_PART
        ):
            yield from rows
            after = rows[-1].id


def _shown(artifact: Artifact, text: str | None) -> Activation:
    names = set(Activation.__dataclass_fields__) - {"text", "left_out"}
    return Activation(**{name: getattr(artifact, name) for name in names}, text=text)
