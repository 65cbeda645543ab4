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
    """A job to be queued. While one with the same `dedupe_key` waits, another is not added. A
    worker whose handler knows only smaller versions of the payload leaves it to others."""

    tenant_id: str
    cube_id: str | None
    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    dedupe_key: str | None = None
    max_attempts: int = 5
    run_at: datetime | None = None
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A durable unit of background work. `progress` is in [0, 1]; `level` is how urgent it is, 0
    first; `seconds` is how long it ran, all attempts together."""

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
    version: int = 1
    level: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run of a job ended, and what it cost. `error` None: it succeeded; else it is due again
    in `retry_in` s, or never if that is None. `seconds`: how long it ran."""

    job_id: str
    error: str | None = None
    retry_in: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Lane:
    """Jobs that wait in line: of one tenant, kind and version of payload, at one level. `since` is
    when the first of them was due, in seconds."""

    tenant_id: str
    kind: str
    version: int
    level: int
    since: float


@dataclass(frozen=True, slots=True)
class Books:
    """What all workers know, in seconds of work: what each tenant was charged (absent: nothing
    yet), the round up to which everybody was served, what a run of each kind takes on average, and
    how many of each kind run now."""

    spent: Mapping[str, float] = field(default_factory=dict)
    round: float = 0.0
    costs: Mapping[str, float] = field(default_factory=dict)
    running: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pick:
    """To be taken from a lane: at most `count` jobs, each charged with `charge` in advance."""

    lane: Lane
    count: int
    charge: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker takes next, in this order; the round that was reached; and what no tenant's
    charges may be less than, so that who was idle has saved nothing up."""

    picks: tuple[Pick, ...]
    round: float
    floor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KindReport:
    """The queue's state for one kind of job. Times are in seconds; `seconds` is the moving mean of
    a run, the sums are over all runs since the database was made."""

    kind: str
    queued: int = 0
    running: int = 0
    failed: int = 0
    dead: int = 0
    oldest_wait: float = 0.0
    seconds: float = 0.0
    runs: int = 0
    failures: int = 0
    deaths: int = 0
    run_seconds: float = 0.0
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueReport:
    """How background work stands for a tenant, kind by kind."""

    at: datetime
    kinds: tuple[KindReport, ...]
    running: tuple[Job, ...]
    last_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Jobs that are queued at the times of a cron expression, in a time zone."""

    name: str
    cube_id: str
    cron: str
    zone: str
    kind: str
    payload: Mapping[str, Any]
    next_at: datetime
    last_at: datetime | None
    last_job: str | None
    created_at: datetime
    actor: str | None
