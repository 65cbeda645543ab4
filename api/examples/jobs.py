"""One example of each answer about jobs, as a value of its type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memos.api.examples.cubes import CUBE_ID, THEN
from memos.api.examples.memories import MEMORY
from memos.types import Job, JobState, Page

_JOB = Job(
    id="01HXA8Q5T9V0J4M2K7N3P6R8SG",
    tenant_id="default",
    cube_id=CUBE_ID,
    kind="index",
    state=JobState.SUCCEEDED,
    payload={"memory_ids": [MEMORY.id]},
    attempts=1,
    max_attempts=5,
    progress=1.0,
    error=None,
    run_at=THEN,
    created_at=THEN,
    started_at=THEN,
    finished_at=THEN,
)

JOB_EXAMPLES: Mapping[str, Any] = {
    "Job": _JOB,
    "Page_Job_": Page(items=(_JOB,)),
}
"""By the name of the schema."""
