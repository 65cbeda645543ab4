"""The verbs of cubes and of keys, and those that keep the stores in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memos.service.verbs.base import Verbs
from memos.types import (
    ApiKey,
    Cube,
    CubeDescription,
    Finding,
    IssuedKey,
    Job,
    NewJob,
    Page,
    Role,
)


class CubeVerbs(Verbs):
    """create_cube, cubes, cube, describe_cube, delete_cube, reindex, doctor, and the keys'."""

    def create_cube(
        self, name: str, *, description: str = "", metadata: Mapping[str, Any] | None = None
    ) -> Cube:
        """AlreadyExists if there is a cube of this name."""
        return self._service.cubes.create(
            self.tenant_id, name, description=description, metadata=metadata or {}
        )

    def cubes(self, *, cursor: str | None = None, limit: int = 50) -> Page[Cube]:
        return self._service.cubes.page(self.tenant_id, cursor=cursor, limit=limit)

    def cube(self, cube: str) -> Cube:
        """The cube of this name or id. CubeNotFound if there is none."""
        return self._cube(cube)

    def describe_cube(self, cube: str) -> CubeDescription:
        return self._service.cubes.describe(self._cube(cube))

    def delete_cube(self, cube: str) -> None:
        """The cube with all that is in it, at once and for good."""
        target = self._cube(cube)
        self._service.cubes.delete(target)
        self._service.purger.drop(target.id)
        self._service.activations.forget_cube(target.id)
        self._service.graph.drop(target.id)
        self._service.worker.wake()

    def reindex(self, cube: str = "default", *, embed: bool = False) -> Job:
        """A job that rebuilds all that is derived from the cube's texts: the terms and the vector
        index from what SQL holds, with `embed` also the vectors by the configured model."""
        target = self._cube(cube)
        return self._queued(
            NewJob(
                tenant_id=target.tenant_id,
                cube_id=target.id,
                kind="reindex",
                payload={"embed": embed},
                dedupe_key=f"reindex:{target.id}:{embed}",
                max_attempts=self._service.settings.job_attempts,
            )
        )

    def doctor(self, *, repair: bool = False) -> tuple[Finding, ...]:
        """What is wrong with the stores; with `repair`, mends what can be mended."""
        return self._service.doctor.examine(self.tenant_id, repair=repair)

    def create_key(
        self, name: str, *, role: Role = Role.WRITER, cubes: Sequence[str] = ()
    ) -> IssuedKey:
        """A new API key; its secret is in this answer and nowhere else."""
        return self._service.keys.issue(self.tenant_id, name, role=Role(role), cubes=cubes)

    def keys(self) -> tuple[ApiKey, ...]:
        return self._service.keys.of(self.tenant_id)

    def revoke_key(self, id: str) -> ApiKey:
        return self._service.keys.revoke(self.tenant_id, id)
