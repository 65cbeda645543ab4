"""The job that lets memories go on in their lives by themselves, and when it is due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from memos.types import Cube, Memory, NewJob

LIFECYCLE = "lifecycle"
_GRAIN = 60


def sweep(cube: Cube, *, at: datetime | None = None) -> NewJob:
    """Now, or at the full minute after `at`; one for all that is due in the same."""
    key = f"{LIFECYCLE}:{cube.id}"
    if at is not None:
        at = at + timedelta(seconds=_GRAIN - at.timestamp() % _GRAIN)
        key = f"{key}:{int(at.timestamp())}"
    return NewJob(
        tenant_id=cube.tenant_id, cube_id=cube.id, kind=LIFECYCLE, dedupe_key=key, run_at=at
    )


def sweeps(cube: Cube, memories: Sequence[Memory]) -> list[NewJob]:
    """For memories that say themselves when they expire."""
    times = {memory.expires_at for memory in memories if memory.expires_at is not None}
    due = {job.dedupe_key: job for job in (sweep(cube, at=time) for time in times)}
    return list(due.values())
