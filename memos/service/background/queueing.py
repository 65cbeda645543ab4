"""How urgent each kind of job is, and how many may run at once."""

from __future__ import annotations

from memos.config import Settings
from memos.errors import InvalidSetting
from memos.scheduler import Policy
from memos.service.activation.compiling import COMPILE
from memos.service.background.retention import PRUNE
from memos.service.enriching.due import PATIENT
from memos.service.keeping.keeping import CONSOLIDATE, SWEEP
from memos.service.lifecycle.following import FOLLOW, REMAKE, REOPEN, RETURN
from memos.service.lifecycle.sweeps import LIFECYCLE

LEVELS = {
    # Somebody waits for what was added to be found.
    "index": 0,
    "vector_sync": 0,
    "vector_drop": 1,
    "kv_forget": 1,
    "vector_build": 2,
    "reindex": 2,
    COMPILE: 2,
    LIFECYCLE: 2,
    REMAKE: 2,
    REOPEN: 1,
    FOLLOW: 1,
    RETURN: 1,
    CONSOLIDATE: 3,
    SWEEP: 3,
    PRUNE: 3,
    **dict.fromkeys(PATIENT, 2),
}


def queue_policy(settings: Settings) -> Policy:
    return Policy(levels=LEVELS, limits=limits_of(settings.job_limits))


def limits_of(text: str) -> dict[str, int]:
    """`compile=1,extract=4`. InvalidSetting for anything else."""
    found: dict[str, int] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        kind, _, number = part.partition("=")
        if not kind.strip() or not number.strip().isdigit() or int(number) < 1:
            raise InvalidSetting(
                f"job_limits has {part!r}; write it like compile=1,extract=4, each at least 1",
                setting="job_limits",
            )
        found[kind.strip()] = int(number)
    return found
