"""Rows of adapters: found, new, and as they are shown. Knows no model and no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from memos.errors import AdapterRefused, StateConflict
from memos.protocols import Stores
from memos.types import (
    Adapter,
    AdapterReport,
    Artifact,
    ArtifactSource,
    Cube,
    Memory,
    State,
    Substrate,
)
from memos.wire import from_builtins

_PART = 256


class Rows:
    """Those of the store."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def one(self, cube: Cube, id: str) -> Artifact:
        """AdapterNotFound."""
        return self._stores.artifacts.get(cube.id, id, Substrate.PARAMETRIC)

    def usable(self, cube: Cube, id: str) -> Artifact:
        """One that has a file and may be used; StateConflict, AdapterRefused, AdapterNotFound."""
        artifact = self.one(cube, id)
        if artifact.state is State.EXPIRED:
            raise stale(artifact)
        if artifact.state is State.ARCHIVED:
            raise AdapterRefused(f"adapter {id} may not be used: {artifact.reason}", adapter_id=id)
        if artifact.file is None:
            raise StateConflict(
                f"adapter {id} has no file: {artifact.reason or 'it is not trained yet'}",
                adapter_id=id,
                state=artifact.state.value,
            )
        return artifact

    def present(self, cube: Cube, artifact: Artifact) -> list[Memory]:
        """The sources, which are what they were: the row is not stale."""
        present = self._stores.memories.get(cube.id, [s.memory_id for s in artifact.sources])
        return [present[s.memory_id] for s in artifact.sources if s.memory_id in present]

    def all(self, cube: Cube) -> Iterator[Artifact]:
        """Oldest first."""
        after = None
        while part := self._stores.artifacts.page(
            cube.id, Substrate.PARAMETRIC, after=after, limit=_PART
        ):
            yield from part
            after = part[-1].id


def new(
    id: str,
    cube_id: str,
    name: str,
    memories: Sequence[Memory],
    *,
    now: datetime,
    codec: str,
    actor: str | None,
    detail: Mapping[str, Any],
) -> Artifact:
    """One that is yet to be made of these memories."""
    return Artifact(
        id=id,
        cube_id=cube_id,
        substrate=Substrate.PARAMETRIC,
        name=name,
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
        codec=codec,
        policy=None,
        pinned=False,
        hits=0,
        last_used_at=None,
        created_at=now,
        updated_at=now,
        actor=actor,
        detail=detail,
    )


def shown(row: Artifact) -> Adapter:
    """As it is told to who asks."""
    detail = row.detail
    report = detail.get("report")
    return Adapter(
        id=row.id,
        cube_id=row.cube_id,
        name=row.name,
        version=version(row),
        state=row.state,
        reason=row.reason,
        attached=row.attached,
        when=when(row),
        parent=detail.get("parent"),
        merged=tuple(detail.get("merged", {}).get("adapters", ())),
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


def version(row: Artifact) -> int:
    """Among those of its name."""
    return int(row.detail.get("version", 1))


def when(row: Artifact) -> str:
    """It is at work: "named" or "always"."""
    return str(row.detail.get("when", "named"))


def ready(row: Artifact) -> bool:
    """Whether it can be attached."""
    return row.state is State.ACTIVATED and row.file is not None


def stale(artifact: Artifact) -> StateConflict:
    """The error of one whose source has changed."""
    return StateConflict(
        f"adapter {artifact.id} is stale: {artifact.reason}. Distill it again to learn what is "
        "there now",
        adapter_id=artifact.id,
        state=artifact.state.value,
        reason=artifact.reason,
    )
