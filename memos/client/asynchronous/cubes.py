"""The verbs of cubes and of keys, for the async client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memos.client.asynchronous.base import AsyncVerbs
from memos.client.requests import cubes as requests
from memos.types import ApiKey, Cube, CubeDescription, IssuedKey, Job, Page, Role


class AsyncCubeVerbs(AsyncVerbs):
    """create_cube, cubes, cube, describe_cube, delete_cube, reindex, and the keys'."""

    async def create_cube(
        self, name: str, *, description: str = "", metadata: Mapping[str, Any] | None = None
    ) -> Cube:
        """AlreadyExists if the name is taken."""
        return await self._send(
            requests.create_cube(
                name, description=description, metadata=metadata, idempotency_key=self._key()
            )
        )

    async def cubes(self, *, cursor: str | None = None, limit: int = 50) -> Page[Cube]:
        return await self._send(requests.cubes(cursor=cursor, limit=limit))

    async def cube(self, cube: str) -> Cube:
        """The cube of this name or id. CubeNotFound if there is none."""
        return (await self.describe_cube(cube)).cube

    async def describe_cube(self, cube: str) -> CubeDescription:
        """A cube and what is in it."""
        return await self._send(requests.describe_cube(cube))

    async def delete_cube(self, cube: str) -> None:
        """Deletes a cube with all its memories, for good."""
        await self._send(requests.delete_cube(cube, idempotency_key=self._key()))

    async def reindex(self, cube: str = "default", *, embed: bool = False) -> Job:
        """Queues the rebuild of everything derived; `embed` also makes the vectors anew."""
        return await self._send(requests.reindex(cube, embed=embed, idempotency_key=self._key()))

    async def create_key(
        self, name: str, *, role: Role = Role.WRITER, cubes: Sequence[str] = ()
    ) -> IssuedKey:
        """Issues a key; its secret is in this answer only."""
        return await self._send(
            requests.create_key(name, role=role, cubes=cubes, idempotency_key=self._key())
        )

    async def keys(self) -> tuple[ApiKey, ...]:
        return await self._send(requests.keys())

    async def revoke_key(self, id: str) -> ApiKey:
        return await self._send(requests.revoke_key(id, idempotency_key=self._key()))
