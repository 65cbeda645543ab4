"""The jobs that delete files outside SQL of what was forgotten, queued in the same transaction."""

from __future__ import annotations

from sqlalchemy import Connection, exists, select

from memos.protocols import FORGET_STATES, cube_name
from memos.storage.tables import artifact, artifact_source
from memos.types import NewJob

_ATTEMPTS = 30
"""Over hours: what was forgotten must go, also where the disk is in trouble for a while."""


def forgetting(tenant_id: str, source: str) -> NewJob:
    """The job that deletes the files which carry a source. It belongs to no cube: the deletion of
    the cube must not cancel it."""
    return NewJob(
        tenant_id=tenant_id,
        cube_id=None,
        kind=FORGET_STATES,
        payload={"sources": [source]},
        dedupe_key=f"{FORGET_STATES}:{source}",
        max_attempts=_ATTEMPTS,
    )


def after_forgetting(
    connection: Connection, tenant_id: str, cube_id: str, memory_id: str
) -> list[NewJob]:
    """What has to follow, in the transaction in which a memory stops being activated; nothing if no
    file was ever made of it."""
    query = select(
        exists().where(
            artifact_source.c.cube_id == cube_id, artifact_source.c.memory_id == memory_id
        )
    )
    return [forgetting(tenant_id, memory_id)] if connection.execute(query).scalar() else []


def after_deletion(connection: Connection, tenant_id: str, cube_id: str) -> list[NewJob]:
    """The same for a whole cube, before its rows are deleted."""
    query = select(exists().where(artifact.c.cube_id == cube_id))
    return [forgetting(tenant_id, cube_name(cube_id))] if connection.execute(query).scalar() else []
