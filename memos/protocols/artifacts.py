"""Files that are made of memories: their rows, and the names by which files know their sources."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from memos.types import Artifact, NewJob, Substrate


class ArtifactStore(Protocol):
    """Rows of the files that are made of memories: states and adapters. A row is there before its
    files, so that what forgets a memory always knows which files there may be."""

    def add(self, artifact: Artifact, *, jobs: Sequence[NewJob] = ()) -> tuple[str, ...]:
        """Ids of the queued jobs. CubeNotFound; MemoryNotFound or VersionConflict if a source is
        not there, activated and in the named version at the moment of the commit."""
        ...

    def get(self, cube_id: str, artifact_id: str, substrate: Substrate | None = None) -> Artifact:
        """With its state as of now: `expired`, with the reason, if a source is another version
        today or not activated. ActivationNotFound if the cube has none such, AdapterNotFound if
        that is what was asked for."""
        ...

    def page(
        self, cube_id: str, substrate: Substrate, *, after: str | None = None, limit: int
    ) -> list[Artifact]:
        """By id, ids greater than `after`; states as with `get`."""
        ...

    def put(self, artifact: Artifact) -> None:
        """Replaces the row and its sources, which are checked as by `add`; hits and last use stay.
        ActivationNotFound if it was dropped meanwhile."""
        ...

    def pin(self, cube_id: str, artifact_id: str, *, pinned: bool) -> None:
        """Also where it is stale. ActivationNotFound."""
        ...

    def attach(self, cube_id: str, artifact_id: str | None) -> None:
        """Makes this adapter the one at work in its cube, and no other; None: none at all.
        AdapterNotFound."""
        ...

    def attached(self, cube_id: str) -> Artifact | None:
        """The adapter at work in a cube. One that is stale is at work no more."""
        ...

    def used(self, cube_id: str, artifact_id: str, *, hit: bool, at: datetime) -> None:
        """Counts a use. Nothing happens if it is gone."""
        ...

    def remove(self, cube_id: str, artifact_id: str) -> None:
        """Takes the row away, and queues the job that deletes its files. ActivationNotFound."""
        ...

    def compiled(self, cube_id: str, memory_id: str) -> bool:
        """Whether a memory is or was a source of an artifact that is there."""
        ...

    def wanted(self, sources: Sequence[str]) -> set[str]:
        """Those of the sources that files may carry: artifacts and cubes that are there, memories
        that are activated (`artifact_name`, `cube_name`, `memory_name`)."""
        ...

    def salt(self, tenant_id: str) -> bytes:
        """The tenant's 32 bytes, drawn at random when first asked for. NotFound without tenant."""
        ...


RETRAIN = "lora_retrain"
"""The job that makes an adapter anew without what was forgotten, if it was at work."""


FORGET_STATES = "kv_forget"
"""The job that deletes the files of its payload's `sources`."""


def artifact_name(artifact_id: str) -> str:
    """An artifact as a source of the files that were made for it."""
    return f"artifact:{artifact_id}"


def memory_name(cube_id: str, memory_id: str) -> str:
    """A memory as a source of the files that were made of it; the same id in another cube, as a
    loaded copy has it, is another memory."""
    return f"memory:{cube_id}:{memory_id}"


def cube_name(cube_id: str) -> str:
    """A cube as a source of the files that were made for it."""
    return f"cube:{cube_id}"
