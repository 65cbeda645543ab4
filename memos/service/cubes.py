"""Cubes: made, found, listed, described, deleted. Always within one tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memos.config import Settings
from memos.errors import AlreadyExists, CubeNotFound
from memos.protocols import Clock, NewId, Stores
from memos.service import cursors
from memos.types import Cube, CubeDescription, NewJob, Page
from memos.validation import check_cube_name, check_limit, check_metadata, check_text

DEFAULT = "default"


class Cubes:
    def __init__(self, stores: Stores, settings: Settings, *, clock: Clock, new_id: NewId) -> None:
        self._stores = stores
        self._settings = settings
        self._clock = clock
        self._new_id = new_id

    def create(
        self, tenant_id: str, name: str, *, description: str, metadata: Mapping[str, Any]
    ) -> Cube:
        """AlreadyExists if the tenant has a cube of this name."""
        check_cube_name(name)
        check_text("description", description)
        check_metadata("metadata", metadata, self._settings)
        return self._stores.cubes.create(
            Cube(
                id=self._new_id(),
                tenant_id=tenant_id,
                name=name,
                description=description,
                metadata=dict(metadata),
                embedding=None,
                created_at=self._clock(),
            )
        )

    def find(self, tenant_id: str, name_or_id: str) -> Cube:
        """CubeNotFound if the tenant has none such. The cube `default` is made when first named."""
        check_text("cube", name_or_id)
        try:
            return self._stores.cubes.get(tenant_id, name_or_id)
        except CubeNotFound:
            if name_or_id != DEFAULT:
                raise
        try:
            return self.create(tenant_id, DEFAULT, description="", metadata={})
        except AlreadyExists:  # another thread or process was faster
            return self._stores.cubes.get(tenant_id, DEFAULT)

    def page(self, tenant_id: str, *, cursor: str | None, limit: int) -> Page[Cube]:
        check_limit("limit", limit, self._settings)
        listing = f"cubes {tenant_id}"
        after = cursors.decode(listing, cursor) if cursor else None
        rows = self._stores.cubes.page(tenant_id, after=after, limit=limit + 1)
        more = len(rows) > limit
        return Page(
            items=tuple(rows[:limit]),
            next_cursor=cursors.encode(listing, rows[limit - 1].id) if more else None,
        )

    def describe(self, cube: Cube) -> CubeDescription:
        return self._stores.cubes.describe(cube.id)

    def delete(self, cube: Cube) -> None:
        """Everything in it goes at once; a job then drops its vector index."""
        drop = NewJob(
            tenant_id=cube.tenant_id,
            cube_id=None,
            kind="vector_drop",
            payload={"cube_id": cube.id},
            max_attempts=self._settings.job_attempts,
        )
        self._stores.cubes.delete(cube.id, jobs=[drop])
