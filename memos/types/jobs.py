"""Background work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any


class JobState(str, Enum):
    """`failed` is tried again at `run_at`; `dead` used up its attempts and waits for a retry."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be queued. While one with the same `dedupe_key` waits, another is not added."""

    tenant_id: str
    cube_id: str | None
    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    dedupe_key: str | None = None
    max_attempts: int = 5
    run_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A durable unit of background work. `progress` is in [0, 1]."""

    id: str
    tenant_id: str
    cube_id: str | None
    kind: str
    state: JobState
    payload: Mapping[str, Any]
    attempts: int
    max_attempts: int
    progress: float
    error: str | None
    run_at: datetime
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
