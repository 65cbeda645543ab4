"""What stands behind an activation memory: its memories as they were compiled, the text that they
make, and the states that are computed of it.

Knows which versions were compiled, not whether they are still what is there: that is
`memos.service.activation.activations`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from memos.activation.opening import assembled
from memos.config import Settings
from memos.errors import MemoryNotFound, StateConflict
from memos.protocols import Clock, Stores
from memos.service.local_model.carried import carried
from memos.service.local_model.late_states import LateStates
from memos.types import Artifact, ArtifactSource, Cube, Memory, NewJob, Opening, State, Substrate

COMPILE = "kv_compile"
_PART = 256


class Compiling:
    """Of all tenants; callers hand in a cube they may use."""

    def __init__(
        self, stores: Stores, states: LateStates, settings: Settings, *, clock: Clock
    ) -> None:
        self._stores = stores
        self._states = states
        self._settings = settings
        self._clock = clock

    def memories(self, artifact: Artifact) -> list[Memory] | None:
        """The sources in the versions that were compiled; None if one is erased."""
        ids = [source.memory_id for source in artifact.sources]
        present = self._stores.memories.get(artifact.cube_id, ids)
        found = []
        for source in artifact.sources:
            memory = present.get(source.memory_id)
            if memory is None or memory.version != source.version:
                memory = self._former(artifact.cube_id, source)
            if memory is None:
                return None
            found.append(memory)
        return found

    def _former(self, cube_id: str, source: ArtifactSource) -> Memory | None:
        try:
            history = self._stores.memories.history(cube_id, source.memory_id)
        except MemoryNotFound:
            return None
        return next((v.memory for v in history if v.version == source.version), None)

    def compiled(self, artifact: Artifact) -> list[Memory]:
        """As `memories`, for use: as of the versions that were found to be the present ones."""
        memories = self.memories(artifact)
        if memories is None:
            raise stale(self._stores.artifacts.get(artifact.cube_id, artifact.id))
        return memories

    def compute(self, cube: Cube, artifact: Artifact, memories: Sequence[Memory]) -> Artifact:
        """Stores the states of these memories, and says so if they are still what they were."""
        states = self._states.wait()
        opening = self.opening(cube, artifact, memories)
        kept = states.compile(opening, carried(cube, artifact))
        reason = None
        if kept.stored < kept.tokens:
            reason = (
                f"{kept.tokens - kept.stored} of {kept.tokens} tokens were not stored, for want of "
                "room or time; they are computed at each use"
            )
        model = states.model
        # A pin that came meanwhile counts.
        pinned = self._stores.artifacts.get(cube.id, artifact.id).pinned
        done = replace(
            artifact,
            state=State.ACTIVATED,
            reason=reason,
            model=model.id,
            fingerprint=model.fingerprint,
            root=kept.root,
            file=kept.block,
            tokens=kept.tokens,
            bytes=kept.bytes,
            pinned=pinned,
            updated_at=self._clock(),
        )
        self._stores.artifacts.put(done)
        if pinned and kept.block:
            states.pin(kept.block, pinned=True)
        return done

    def codec(self, cube: Cube) -> str:
        """How states of this cube are stored unless somebody says otherwise."""
        policy = self._stores.keeping.policy(cube.id)
        return policy.kv_codec if policy and policy.kv_codec else self._settings.kv_codec

    def opening(
        self,
        cube: Cube,
        artifact: Artifact | None,
        memories: Sequence[Memory],
        adapter: str | None = None,
    ) -> Opening:
        text = ""
        if artifact is not None:
            text = assembled(artifact.system, memories, artifact.own_text)
        return Opening(
            text=text,
            salt=self._stores.artifacts.salt(cube.tenant_id),
            codec=artifact.codec if artifact else self.codec(cube),
            policy=artifact.policy if artifact else None,
            guide=guide_of(artifact) if artifact else None,
            adapter=adapter,
        )

    def rows(self, cube: Cube) -> Iterator[Artifact]:
        """All activation memories of a cube, oldest first."""
        after = None
        while rows := self._stores.artifacts.page(
            cube.id, Substrate.ACTIVATION, after=after, limit=_PART
        ):
            yield from rows
            after = rows[-1].id

    def unpin(self, cube: Cube, artifact: Artifact) -> None:
        """Lets its last block go, unless another pinned one of the cube ends in it."""
        others = (row for row in self.rows(cube) if row.pinned and row.id != artifact.id)
        if artifact.file and all(row.file != artifact.file for row in others):
            self._states.wait().pin(artifact.file, pinned=False)

    def job(self, cube: Cube, id: str, *, adapter: str | None = None) -> NewJob:
        """Computes the states of an activation memory, or those that it has with an adapter."""
        payload = {"activation_id": id} | ({"adapter": adapter} if adapter else {})
        return NewJob(
            tenant_id=cube.tenant_id,
            cube_id=cube.id,
            kind=COMPILE,
            payload=payload,
            dedupe_key=":".join([COMPILE, *payload.values()]),
            max_attempts=self._settings.job_attempts,
        )


def sources_of(memories: Sequence[Memory]) -> tuple[ArtifactSource, ...]:
    return tuple(ArtifactSource(memory_id=m.id, version=m.version) for m in memories)


def guide_of(artifact: Artifact) -> str | None:
    """The prompt that its policy was guided by."""
    guide: str | None = artifact.detail.get("guide")
    return guide


def stale(artifact: Artifact) -> StateConflict:
    return StateConflict(
        f"activation memory {artifact.id} is stale: {artifact.reason}. Refresh it to compile what "
        "is there now",
        activation_id=artifact.id,
        state=artifact.state.value,
        reason=artifact.reason,
    )
