"""The jobs that delete files outside SQL of what was forgotten, queued in the same transaction."""

from __future__ import annotations

import json

from sqlalchemy import Connection, Select, exists, select, update

from memos.protocols import FORGET_STATES, RETRAIN, artifact_name, cube_name, memory_name
from memos.storage.records import json_text
from memos.storage.tables import artifact, artifact_source
from memos.types import Memory, NewJob, State, Substrate

_ATTEMPTS = 30
"""Over hours: what was forgotten must go, also where the disk is in trouble for a while."""


_KNEW = ("keys", "report", "wordings")
_LEARNT = ("content", "images", "speaker", "occurred_at", "place")
"""What of a memory is in the texts that an adapter learns."""
_FORGOTTEN = "a memory that it was made of was forgotten or changed; its file is deleted"


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
    mine = select(artifact_source.c.artifact_id).where(
        artifact_source.c.cube_id == cube_id, artifact_source.c.memory_id == memory_id
    )
    if not connection.execute(select(exists(mine))).scalar():
        return []
    return [
        forgetting(tenant_id, memory_name(cube_id, memory_id)),
        *_detached(connection, tenant_id, cube_id, mine),
    ]


def after_change(
    connection: Connection, tenant_id: str, former: Memory, stored: Memory
) -> list[NewJob]:
    """What has to follow, in the transaction in which a memory got a new version and stays live.

    Adapters that learnt other words go out of work. Those that learnt these (it was tagged, frozen,
    given an end) go on, as of the new version.
    """
    cube_id = stored.cube_id
    of_memory = (artifact_source.c.cube_id == cube_id, artifact_source.c.memory_id == stored.id)
    learnt = artifact_source.c.artifact_id.in_(
        select(artifact.c.id).where(
            artifact.c.cube_id == cube_id, artifact.c.substrate == Substrate.PARAMETRIC.value
        )
    )
    mine = select(artifact_source.c.artifact_id).where(*of_memory, learnt)
    found = connection.execute(mine).scalars().all()
    if not found:
        return []
    if all(getattr(former, name) == getattr(stored, name) for name in _LEARNT):
        connection.execute(
            update(artifact_source)
            .where(*of_memory, learnt, artifact_source.c.version == former.version)
            .values(version=stored.version)
        )
        return []
    # By their own names: what is made of the new words carries the memory's.
    files = [forgetting(tenant_id, artifact_name(id)) for id in sorted(set(found))]
    return [*files, *_detached(connection, tenant_id, cube_id, mine)]


def _detached(
    connection: Connection, tenant_id: str, cube_id: str, which: Select[tuple[str]]
) -> list[NewJob]:
    """Takes the adapters that learnt of a memory out of work for good: what they know can't be
    taken out of their files, which are deleted. Those that were at work, or were being made for
    that, are made anew."""
    adapters = (
        artifact.c.cube_id == cube_id,
        artifact.c.substrate == Substrate.PARAMETRIC.value,
        artifact.c.id.in_(which),
    )
    rows = connection.execute(
        select(
            artifact.c.id,
            artifact.c.attached,
            artifact.c.detail,
            artifact.c.state,
            artifact.c.reason,
        ).where(*adapters)
    ).all()
    again = []
    for id, attached, detail, state, reason in rows:
        known = json.loads(detail) if detail else {}
        coming = state == State.GENERATED.value and reason is None and known.get("attach")
        if attached or coming:
            again.append(id)
        # What is left tells how it was made, and nothing of what it knew.
        kept = {name: value for name, value in known.items() if name not in _KNEW}
        connection.execute(
            update(artifact)
            .where(artifact.c.cube_id == cube_id, artifact.c.id == id)
            .values(
                attached=0,
                file=None,
                bytes=0,
                state=State.GENERATED.value,
                reason=_FORGOTTEN,
                detail=json_text(kept),
            )
        )
    return [_retraining(tenant_id, cube_id, id) for id in again]


def _retraining(tenant_id: str, cube_id: str, artifact_id: str) -> NewJob:
    return NewJob(
        tenant_id=tenant_id,
        cube_id=cube_id,
        kind=RETRAIN,
        payload={"adapter_id": artifact_id},
        dedupe_key=f"{RETRAIN}:{artifact_id}",
        max_attempts=_ATTEMPTS,
    )


def after_deletion(connection: Connection, tenant_id: str, cube_id: str) -> list[NewJob]:
    """The same for a whole cube, before its rows are deleted."""
    query = select(exists().where(artifact.c.cube_id == cube_id))
    return [forgetting(tenant_id, cube_name(cube_id))] if connection.execute(query).scalar() else []
