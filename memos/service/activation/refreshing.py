"""An activation memory as it may be used now, or made so: compiled anew from what is there.

What is stale, or of another model, is refused with what has changed, unless a refresh is asked for.
"""

from __future__ import annotations

from dataclasses import replace

from memos.activation.opening import canonical
from memos.errors import FingerprintMismatch, StateConflict
from memos.protocols import Clock, Stores, artifact_name
from memos.service.activation.compiling import Compiling, sources_of, stale
from memos.service.local_model.late_states import LateStates
from memos.types import LIVE, Artifact, Cube, State


class Refreshing:
    """Of all tenants; callers hand in a cube they may use."""

    def __init__(
        self, stores: Stores, states: LateStates, compiling: Compiling, *, clock: Clock
    ) -> None:
        self._stores = stores
        self._states = states
        self._compiling = compiling
        self._clock = clock

    def usable(self, cube: Cube, id: str, *, refresh: bool) -> Artifact:
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
            self._compiling.unpin(cube, old)
        if len(live) < len(old.sources):
            # From here on nothing would tell that these states are of a memory that is left out.
            self._states.wait().forget([artifact_name(old.id)])
        anew = replace(
            old, state=State.GENERATED, reason=None, sources=sources_of(live), file=None, root=None
        )
        self._stores.artifacts.put(anew)
        return self._compiling.compute(cube, anew, live)
