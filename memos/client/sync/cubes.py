"""The verbs of cubes and of keys, for the sync client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memos.client.requests import cubes as requests
from memos.client.sync.base import Verbs
from memos.types import ApiKey, Cube, CubeDescription, IssuedKey, Job, Page, Role


class CubeVerbs(Verbs):
    """create_cube, cubes, cube, describe_cube, delete_cube, reindex, and the keys'."""

    def create_cube(
        self, name: str, *, description: str = "", metadata: Mapping[str, Any] | None = None
    ) -> Cube:
        """AlreadyExists if the name is taken."""
        return self._send(
            requests.create_cube(
                name, description=description, metadata=metadata, idempotency_key=self._key()
            )
        )

    def cubes(self, *, cursor: str | None = None, limit: int = 50) -> Page[Cube]:
        return self._send(requests.cubes(cursor=cursor, limit=limit))

    def cube(self, cube: str) -> Cube:
        """The cube of this name or id. CubeNotFound if there is none."""
        return self.describe_cube(cube).cube

    def describe_cube(self, cube: str) -> CubeDescription:
        """A cube and what is in it."""
        return self._send(requests.describe_cube(cube))

    def delete_cube(self, cube: str) -> None:
        """Deletes a cube with all its memories, for good."""
        self._send(requests.delete_cube(cube, idempotency_key=self._key()))

    def reindex(self, cube: str = "default", *, embed: bool = False) -> Job:
        """Queues the rebuild of everything derived; `embed` also makes the vectors anew."""
        return self._send(requests.reindex(cube, embed=embed, idempotency_key=self._key()))

    def create_key(
        self, name: str, *, role: Role = Role.WRITER, cubes: Sequence[str] = ()
    ) -> IssuedKey:
        """Issues a key; its secret is in this answer only."""
        return self._send(
            requests.create_key(name, role=role, cubes=cubes, idempotency_key=self._key())
        )

    def keys(self) -> tuple[ApiKey, ...]:
        return self._send(requests.keys())

    def revoke_key(self, id: str) -> ApiKey:
        return self._send(requests.revoke_key(id, idempotency_key=self._key()))
