"""By which rules memories are archived, expire and are erased by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from memos.types.memories import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleRule:
    """For the memories of one kind in a cube. Spans are in days since a memory was added, last
    changed, or last brought back; None: never by itself. What a memory's own `expires_at` says
    comes first."""

    kind: Kind
    archive_after: float | None = None
    expire_after: float | None = None
    erase_after: float | None = None
    updated_at: datetime | None = None
    actor: str | None = None
