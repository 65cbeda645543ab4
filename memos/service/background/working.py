"""The worker of a process: which jobs may take long, and which payloads its handlers know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from memos.protocols import RETRAIN, JobQueue
from memos.scheduler import Handler, Worker
from memos.service.activation.compiling import COMPILE
from memos.service.background.retention import PRUNE
from memos.service.enriching.due import PATIENT
from memos.service.keeping.keeping import CONSOLIDATE, SWEEP
from memos.service.lifecycle.following import REMAKE
from memos.service.lifecycle.sweeps import LIFECYCLE
from memos.service.parametric.adapters import DISTILL

_PATIENT = PATIENT | {COMPILE, CONSOLIDATE, DISTILL, LIFECYCLE, PRUNE, RETRAIN, SWEEP}


def make_worker(
    jobs: JobQueue,
    tables: Sequence[Mapping[str, Handler]],
    *,
    name: str,
    lease_seconds: float,
    chores: Sequence[Callable[[], object]],
) -> Worker:
    """One that has all these handlers."""
    return Worker(
        jobs,
        {kind: handler for table in tables for kind, handler in table.items()},
        name=name,
        lease_seconds=lease_seconds,
        patient=_PATIENT,
        versions={REMAKE: 2},
        chores=chores,
    )
