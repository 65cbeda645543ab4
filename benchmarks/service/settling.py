"""Waiting until what a service reads out of new memories in the background has been read.

Knows jobs by their states only; works on a service in this process and over HTTP.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from memos.errors import WaitTimeout
from memos.types import JobState

if TYPE_CHECKING:
    from memos.client import Client
    from memos.service import MemoryOS

_PENDING = (JobState.QUEUED, JobState.RUNNING, JobState.FAILED)
_POLL_SECONDS = 0.2


def settle(service: MemoryOS | Client, cube: str, *, timeout: float = 3600.0) -> float:
    """Waits until no job of the cube is left to do; the seconds that took. WaitTimeout."""
    begun = time.perf_counter()
    while left := service.jobs(cube=cube, states=_PENDING, limit=1).items:
        if time.perf_counter() - begun > timeout:
            raise WaitTimeout(
                f"job {left[0].id} ({left[0].kind}) of {cube} is still {left[0].state.value} "
                f"after {timeout:.0f} s: {left[0].error or 'no error so far'}",
                job_id=left[0].id,
            )
        time.sleep(_POLL_SECONDS)
    return time.perf_counter() - begun
